"""Inference: loading networks, making them faster, and running them on batches."""
