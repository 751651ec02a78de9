"""Loaded before any test loads TensorFlow, whose kernels the package chooses, as in a job."""

import model  # noqa: F401
