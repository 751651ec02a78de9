"""Weights that others published: reading their files, and assigning them to our networks."""
