"""Weights that others published: reads their files and assigns them to our networks."""
