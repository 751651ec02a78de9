"""What a segmenter does when its batches do not fit into memory."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from model.inference.segmenter import Segmenter, _Graph, out_of_memory
from tests.model.toy import toy

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def small():
    return toy()


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)


@pytest.fixture
def room(monkeypatch):
    """Memory for so many images at once, and what was tried."""
    run, room = _Graph.maps, SimpleNamespace(most=8, tried=[])

    def maps(graph, batch):
        room.tried.append(len(batch))
        if len(batch) > room.most:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
        return run(graph, batch)

    monkeypatch.setattr(_Graph, "maps", maps)
    return room


@pytest.mark.parametrize(("most", "tried"), [(8, [8]), (5, [8, 4]), (1, [8, 4, 2, 1, 1, 1])])
def test_halves_when_memory_is_short_and_from_then_on(small, images, room, most, tried):
    segmenter, room.most = Segmenter(small, 64, 8), most
    # Batches of another size are computed by other kernels, whose last digits are others.
    expected, room.tried = Segmenter(small, 64, tried[-1])(images), []
    np.testing.assert_allclose(segmenter(images), expected, atol=1e-6)
    assert room.tried == tried
    room.tried = []
    np.testing.assert_allclose(segmenter(images), expected, atol=1e-6)
    assert set(room.tried) == {tried[-1]}


def test_what_one_image_alone_has_no_memory_for_is_an_error(small, images, room):
    segmenter, room.most = Segmenter(small, 64, 2), 0
    with pytest.raises(tf.errors.ResourceExhaustedError):
        segmenter(images)
    assert segmenter.batch_size == 1


def test_halves_once_for_all_threads_that_ran_out_of_memory(small):
    segmenter = Segmenter(small, 64, 8)
    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(segmenter._halve, [segmenter._graph] * 8))
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


def test_a_batch_too_large_for_the_memory_is_no_reason_to_refuse_a_network(small, room):
    segmenter, room.most = Segmenter(small, 64, batch_size=8), 2
    segmenter.probe()
    assert segmenter.batch_size == 2
    room.most = 0
    with pytest.raises(ValueError, match="fails on an image .*OOM"):
        segmenter.probe()
