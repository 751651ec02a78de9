"""A network that OpenVINO runs: images at once, order, threads, precision."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

pytest.importorskip("openvino", reason="OpenVINO is not installed")

from model.inference.openvino_alone import op, ov
from model.inference.openvino_graph import pixels_of
from model.inference.openvino_network import OpenVinoNetwork
from model.inference.segmenter import Segmenter, out_of_memory
from model.precision import chosen, dtype_of


@pytest.fixture(scope="module")
def graph():
    """A network whose map is the red of an image, over 255, to the power of 1.5."""
    pixels = pixels_of(32)
    red = op.gather(op.convert(pixels, "f32"), np.array([0]), np.int64(3))
    return ov.Model([op.power(op.divide(red, np.float32(255)), np.float32(1.5))], [pixels])


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (7, 32, 32, 3), dtype=np.uint8)


def truth(images):
    return (images[..., 0] / 255.0) ** 1.5


@pytest.mark.parametrize("at_once", [1, 2, 3, 7, 9])
def test_every_image_has_its_own_map(graph, images, at_once):
    network = OpenVinoNetwork(graph, at_once, "float32", threads=9)
    assert network.batch_size == at_once
    maps = network.maps(images)
    assert maps.shape == (7, 32, 32) and maps.dtype == np.float32
    np.testing.assert_allclose(maps, truth(images), atol=1e-6)


def test_no_more_images_at_once_than_threads(graph):
    assert OpenVinoNetwork(graph, 8, "float32", threads=2).batch_size == 2


def test_a_map_is_the_same_alone_and_among_others(graph, images):
    network = OpenVinoNetwork(graph, 4, "float32", threads=4)
    together = network.maps(images)
    for image, expected in zip(images, together, strict=True):
        assert (network.maps(image[None])[0] == expected).all()


def test_threads_share_it(graph, images):
    network = OpenVinoNetwork(graph, 2, "float32", threads=2)
    parts = [images[start : start + 3] for start in (0, 2, 4)] * 10
    with ThreadPoolExecutor(4) as threads:
        for part, maps in zip(parts, threads.map(network.maps, parts), strict=True):
            np.testing.assert_allclose(maps, truth(part), atol=1e-6)


def test_flip_is_the_mean_with_the_mirrored_image(images):
    pixels = pixels_of(32)
    red = op.gather(op.convert(pixels, "f32"), np.array([0]), np.int64(3))
    ramp = np.linspace(0, 1 / 255, 32, dtype=np.float32).reshape(1, 1, 32, 1)
    segmenter = Segmenter(ov.Model([op.multiply(red, ramp)], [pixels]), 32, 2, tta="flip")
    expected = images[..., 0] / 255 / 2  # The ramp and its mirror image add up to one.
    np.testing.assert_allclose(segmenter(images), expected, atol=1e-6)


def test_half_as_many_images_at_once(graph, images):
    halved = OpenVinoNetwork(graph, 4, "float32", threads=8).halved()
    assert halved.batch_size == 2
    np.testing.assert_allclose(halved.maps(images), truth(images), atol=1e-6)


def test_images_of_another_size_are_an_error_and_the_next_ones_are_segmented(graph, images):
    segmenter = Segmenter(graph, 32, 2, threads=2)
    with pytest.raises(RuntimeError):
        segmenter(images[:, :16, :16])
    np.testing.assert_allclose(segmenter(images), truth(images), atol=1e-6)


def test_knows_what_running_out_of_memory_is():
    assert out_of_memory(RuntimeError("Exception from src/x.cpp:1:\nstd::bad_alloc\n"))
    assert not out_of_memory(RuntimeError("shapes differ"))


def test_float16_is_of_gpus(graph):
    with pytest.raises(ValueError, match="OpenVINO computes in float32 or bfloat16; got float16"):
        Segmenter(graph, 32, 1, precision="float16")


def test_bfloat16_is_rounded_or_refused(graph, images):
    if dtype_of("auto", "openvino") != "bfloat16":
        with pytest.raises(ValueError, match="precision float32 would do"):
            OpenVinoNetwork(graph, 1, "bfloat16")
        return
    maps = OpenVinoNetwork(graph, 1, "bfloat16").maps(images)
    np.testing.assert_allclose(maps, truth(images), atol=2e-2)


def test_auto_goes_by_the_processor_alone():
    assert dtype_of("auto", "openvino") in {chosen([], ""), "bfloat16"}
