"""ONNX files with their cards, against NumPy."""

import json

import numpy as np
import pytest

pytest.importorskip("openvino", reason="OpenVINO is not installed")
pytest.importorskip("onnx", reason="onnx is not installed")

from model.inference.openvino_model import load_for_openvino
from model.inference.segmenter import Segmenter
from tests.model.inference.onnx_files import CARD, SIZE, expected, write_onnx


@pytest.fixture(scope="module")
def images():
    images = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3), dtype=np.uint8)
    images[1] //= 3  # A dark one, whose largest value is 85.
    images[2] = 0
    return images


def maps(path, images):
    return Segmenter(load_for_openvino(str(path), SIZE), SIZE, 2)(images)


@pytest.mark.parametrize(
    "card",
    [{}, {"output": 1}, {"output": "logits", "logits": True}, {"output": 0, "logits": True}],
)
def test_the_map_is_that_of_the_network_and_not_stretched(tmp_path, images, card):
    write_onnx(tmp_path / "net.onnx", card=CARD | card)
    found = maps(tmp_path / "net.onnx", images)
    np.testing.assert_allclose(found, expected(images), atol=1e-5)
    assert found[0].min() > 0.05 and found[0].max() < 0.95


def test_pixels_are_divided_by_the_largest_of_their_image(tmp_path, images):
    write_onnx(tmp_path / "net.onnx", card=CARD | {"divisor": "largest"})
    largest = np.maximum(images.max((1, 2, 3), keepdims=True), 1)
    assert largest[1] == 85
    np.testing.assert_allclose(
        maps(tmp_path / "net.onnx", images), expected(images, largest), atol=1e-5
    )


def test_a_network_of_any_batch_and_size_takes_the_card_s(tmp_path, images):
    write_onnx(tmp_path / "net.onnx", shape=("N", 3, None, None), card=CARD | {"divisor": 100})
    np.testing.assert_allclose(
        maps(tmp_path / "net.onnx", images), expected(images, 100), atol=1e-5
    )


WRONG = {
    "its card says size 64; images are 32 x 32": {"size": 64},
    "not [1, 32, 32, 3], as its card says by size and layout": {"layout": "NHWC"},
    "no output 'mask', as its card says; there are 0 'logits', 1 'map', 2": {"output": "mask"},
    "no output 3, as its card says": {"output": 3},
    "its output 'small' is [1,1,16,16]; a map would have 32 x 32 numbers": {"output": "small"},
}


@pytest.mark.parametrize("what", WRONG)
def test_a_card_that_does_not_fit_is_told(tmp_path, what):
    write_onnx(tmp_path / "net.onnx", card=CARD | WRONG[what])
    with pytest.raises(ValueError) as caught:
        load_for_openvino(str(tmp_path / "net.onnx"), SIZE)
    assert what in str(caught.value)


def test_logits_that_are_not_said_to_be_are_refused(tmp_path):
    write_onnx(tmp_path / "net.onnx", card=CARD | {"output": "logits"})
    with pytest.raises(ValueError, match="if these are logits, add a sigmoid"):
        Segmenter(load_for_openvino(str(tmp_path / "net.onnx"), SIZE), SIZE, 1).probe()


def test_a_file_that_is_none_is_told_in_a_line(tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"no network")
    (tmp_path / "net.json").write_text(json.dumps(CARD))
    with pytest.raises(ValueError, match="OpenVINO does not read it: ") as caught:
        load_for_openvino(str(tmp_path / "net.onnx"), SIZE)
    assert "\n" not in str(caught.value)
