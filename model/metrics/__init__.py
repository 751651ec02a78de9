"""Metrics of one mask, of a mask and its ground truth, and of a data set. No Beam, no Keras."""
