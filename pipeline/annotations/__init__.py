"""Masks to objects, and objects to the formats of label tools. No Beam, no Keras."""
