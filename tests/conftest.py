"""Imports ``model`` before any test loads TensorFlow, so that tests use the kernels of a job."""

import model  # noqa: F401
