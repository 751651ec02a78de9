"""Imports ``model`` before any test loads TensorFlow, so that tests use the kernels of a job."""

import signal

import model  # noqa: F401

# A shell starts what runs in its background with Ctrl-C ignored. The commands of tests would
# inherit that, and some are interrupted.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
