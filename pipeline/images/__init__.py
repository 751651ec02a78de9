"""Encoded images to arrays and back, within bounds on memory. Neither Beam nor Keras in here."""
