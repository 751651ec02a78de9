"""What a segmenter does when its batches do not fit into memory."""

import contextlib
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from model.inference.segmenter import Segmenter, out_of_memory
from tests.model.toy import toy

ROOT = Path(__file__).parents[3]


class Limited(keras.layers.Layer):
    """Passes images on, but runs out of memory for more than ``most`` at once.

    TensorFlow makes a ResourceExhaustedError of Python's MemoryError, as its own allocators do.
    """

    most = 8
    tried = ()
    traced = 0
    barrier = None

    def call(self, images):
        Limited.traced += 1
        passed = tf.numpy_function(self.run, [images], images.dtype)
        passed.set_shape(images.shape)
        return passed

    def compute_output_shape(self, shape):
        return shape

    def run(self, images):
        Limited.tried += (len(images),)
        if len(images) > Limited.most:
            if Limited.barrier:
                with contextlib.suppress(threading.BrokenBarrierError):
                    Limited.barrier.wait(10)
            raise MemoryError
        return images


@pytest.fixture
def limited():
    """A network of which the fields of ``Limited`` say how many images it has memory for."""
    Limited.most, Limited.tried, Limited.traced, Limited.barrier = 8, (), 0, None
    network = toy()
    image = keras.Input((None, None, 3))
    return keras.Model(image, network(Limited()(image)))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)


@pytest.mark.parametrize(("most", "tried"), [(8, (8,)), (5, (8, 4)), (1, (8, 4, 2, 1, 1, 1))])
def test_halves_when_memory_is_short_and_from_then_on(limited, images, most, tried):
    segmenter = Segmenter(limited, 64, 8)
    # Batches of another size are computed by other kernels, whose last digits differ.
    expected = Segmenter(limited, 64, tried[-1])(images)
    Limited.most, Limited.tried = most, ()
    np.testing.assert_allclose(segmenter(images), expected, atol=1e-6)
    assert Limited.tried == tried
    Limited.tried = ()
    np.testing.assert_allclose(segmenter(images), expected, atol=1e-6)
    assert set(Limited.tried) == {tried[-1]}


def test_traces_one_graph_for_each_batch_size_that_it_tries(limited, images):
    segmenter = Segmenter(limited, 64, 3, tta="flip")
    Limited.most, Limited.traced = 1, 0
    for _ in range(3):
        segmenter(images)
    assert segmenter.batch_size == 1
    assert Limited.traced == 2


def test_what_one_image_alone_has_no_memory_for_is_an_error(limited, images):
    segmenter = Segmenter(limited, 64, 2)
    Limited.most = 0
    with pytest.raises(tf.errors.ResourceExhaustedError):
        segmenter(images)
    assert segmenter.batch_size == 1


def test_halves_once_for_all_threads_that_ran_out_of_memory(limited, images):
    segmenter = Segmenter(limited, 64, 8)
    Limited.most, Limited.barrier = 4, threading.Barrier(2)
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(segmenter, [images] * 2))
    assert Limited.tried.count(8) == 2
    assert segmenter.batch_size == 4


# Linux gives a process no more than a limit, which Python alone would not reach.
OUT_OF_MEMORY = """
import resource
import keras, numpy as np
from pathlib import Path
from model.inference.segmenter import Segmenter

image = keras.Input((64, 64, 3))
x = keras.layers.UpSampling2D(45)(keras.layers.Rescaling(1 / 255)(image))  # 95 MiB an image
x = keras.layers.MaxPooling2D(45)(x)
network = keras.Model(image, keras.layers.Conv2D(1, 1, activation="sigmoid")(x))
images = np.random.default_rng(0).integers(0, 256, (8, 64, 64, 3), dtype=np.uint8)
segmenter, expected = Segmenter(network, 64, 8), Segmenter(network, 64, 1)(images)
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 640 * 2**20,) * 2)
np.testing.assert_allclose(segmenter(images), expected, atol=1e-6)
print("at once:", segmenter.batch_size)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_after_running_out_of_memory_half_the_images_at_once_do():
    done = subprocess.run(
        [sys.executable, "-c", OUT_OF_MEMORY],
        cwd=ROOT,
        # With oneDNN, TensorFlow waits ten seconds for memory before it gives up.
        env={**os.environ, "TF_ENABLE_ONEDNN_OPTS": "0"},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "at once: 4\n", done.stderr


def test_knows_what_running_out_of_memory_is():
    exhausted = tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
    assert out_of_memory(exhausted) and out_of_memory(MemoryError())
    invalid = tf.errors.InvalidArgumentError(None, None, "shapes must be equal")
    assert not out_of_memory(invalid) and not out_of_memory(ValueError("OOM"))


def test_a_batch_too_large_for_the_memory_is_no_reason_to_refuse_a_network(limited):
    segmenter = Segmenter(limited, 64, batch_size=8)
    Limited.most = 2
    segmenter.probe()
    assert segmenter.batch_size == 2
    Limited.most = 0
    with pytest.raises(ValueError, match="fails on an image"):
        segmenter.probe()
