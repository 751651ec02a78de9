"""What TensorFlow is given of a machine, in processes in which it has not started yet."""

import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

from model.inference.device import computing_device, ready_tensorflow

ROOT = Path(__file__).parents[3]
GPUS = tf.config.list_physical_devices("GPU")

THREADS = """
import os
from model.inference.device import ready_tensorflow
ready_tensorflow(1)
import tensorflow as tf
x = tf.random.normal((8, 64, 64, 32))
tf.nn.conv2d(x, tf.random.normal((3, 3, 32, 32)), 1, "SAME")
print(tf.config.threading.get_intra_op_parallelism_threads(), end=" ")
print(tf.config.threading.get_inter_op_parallelism_threads(), end=" ")
ready_tensorflow(3)
"""


@pytest.mark.slow
def test_tensorflow_has_the_threads_that_it_is_given_and_says_when_it_is_too_late():
    command = [sys.executable, "-c", THREADS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "1 1 ", done.stderr
    assert "TensorFlow has started already" in done.stderr


def test_the_device_is_that_of_what_is_computed():
    assert computing_device() == ("gpu" if GPUS else "cpu")
    device = (tf.zeros(1) + 1).device
    assert computing_device().upper() in device


@pytest.mark.skipif(not GPUS, reason="there is no GPU")
def test_the_memory_of_gpus_grows():
    ready_tensorflow(1)
    assert all(tf.config.experimental.get_memory_growth(gpu) for gpu in GPUS)
