"""The stages of the graph: PTransforms of a few lines around plain functions."""
