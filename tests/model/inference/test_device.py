"""What TensorFlow is given of a machine, in processes in which it has not started yet."""

import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

from model.inference.device import computing_device, ready_tensorflow

ROOT = Path(__file__).parents[3]
GPUS = tf.config.list_physical_devices("GPU")

# Linux knows the threads of a process by their names.
THREADS = """
from pathlib import Path
from model.inference.device import ready_tensorflow
ready_tensorflow(3)
import tensorflow as tf
tf.function(lambda: tf.nn.conv2d(tf.ones((8, 64, 64, 32)), tf.ones((3, 3, 32, 32)), 1, "SAME"))()
names = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
print(names.count("tf_Compute"))
ready_tensorflow(1)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="threads have names on Linux")
def test_tensorflow_has_the_threads_that_it_is_given_and_says_when_it_is_too_late():
    command = [sys.executable, "-c", THREADS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "3\n", done.stderr
    assert "TensorFlow has started already" in done.stderr


def test_the_device_is_that_of_what_is_computed():
    assert computing_device() == ("gpu" if GPUS else "cpu")
    device = (tf.zeros(1) + 1).device
    assert computing_device().upper() in device


@pytest.mark.skipif(not GPUS, reason="there is no GPU")
def test_the_memory_of_gpus_grows():
    ready_tensorflow(1)
    assert all(tf.config.experimental.get_memory_growth(gpu) for gpu in GPUS)
