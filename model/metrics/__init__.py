"""Figures of one mask, of a mask beside its ground truth, and of a data set."""
