"""Networks that OpenVINO loads: the maps are those of Keras."""

import os
import subprocess
import sys
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

pytest.importorskip("openvino", reason="OpenVINO is not installed")

from model.inference.load import load_model
from model.inference.openvino_model import load_for_openvino
from model.inference.segmenter import Segmenter
from model.inference.weights_files import listed_preset
from model.presets import PRESETS
from tests.model.toy import toy

ROOT = Path(__file__).parents[3]
WEIGHTS = PRESETS["basnet_mini"].weights


@pytest.fixture(scope="module")
def photos():
    """Two pictures with an object: a bright disc before a dark gradient, and stripes."""
    rows, columns = np.mgrid[:96, :96]
    disc = (rows - 50) ** 2 + (columns - 40) ** 2 < 900
    first = np.where(disc[..., None], (230, 180, 40), np.stack([rows, columns, rows], 2))
    second = np.where((rows // 12 % 2)[..., None], (20, 90, 200), (250, 250, 250))
    return np.stack([first, second]).astype(np.uint8)


@pytest.fixture(scope="module")
def expected(photos):
    return Segmenter(load_model("basnet_mini"), 96, 2)(photos)


def test_maps_of_the_bundled_network_are_those_of_keras(photos, expected):
    assert np.ptp(expected) > 0.9
    maps = Segmenter(load_for_openvino("basnet_mini", 96), 96, 2)(photos)
    assert maps.dtype == np.float32
    np.testing.assert_allclose(maps, expected, atol=1e-4)


def test_maps_of_a_weights_file_are_those_of_its_network(photos, tmp_path):
    path = tmp_path / "own.weights.h5"
    path.write_bytes(WEIGHTS.read_bytes())
    with h5py.File(path, "r+") as file:  # Another bias of the last convolution but one.
        name = next(n for n in file["layers"] if n.startswith("sequential"))
        file[f"layers/{name}/layers/conv2d/vars/1"][:] += 0.5
    assert listed_preset(str(path)) is PRESETS["basnet_mini"]
    expected = Segmenter(load_model(str(path)), 96, 2)(photos)
    maps = Segmenter(load_for_openvino(str(path), 96), 96, 2)(photos)
    np.testing.assert_allclose(maps, expected, atol=1e-4)


def test_a_network_of_ones_own_is_read_by_keras(photos, tmp_path):
    path = str(tmp_path / "own.keras")
    network = toy()
    network.save(path)
    assert listed_preset(path) is None
    maps = Segmenter(load_for_openvino(path, 96), 96, 2)(photos)
    np.testing.assert_allclose(maps, Segmenter(network, 96, 2)(photos), atol=1e-5)


def test_what_keras_says_of_a_network_is_said(tmp_path):
    path = str(tmp_path / "own.keras")
    image = keras.Input((64, 64, 3))
    keras.Model(image, keras.layers.Conv2D(1, 1)(image)).save(path)
    with pytest.raises(ValueError, match="an image_size of 64 would do"):
        load_for_openvino(path, 96)
    with pytest.raises(ValueError, match="if these are logits, add a sigmoid"):
        Segmenter(load_for_openvino(path, 64), 64, 1).probe()


def test_a_file_of_as_many_weights_of_other_layers_is_refused(tmp_path):
    path = str(tmp_path / "other.weights.h5")
    with h5py.File(path, "w") as file:
        file["numbers"] = np.zeros(4_741_128, np.float16)
    with pytest.raises(ValueError, match="its weights fit none of the presets' networks"):
        load_for_openvino(path, 64)


WITHOUT = """
import sys
import numpy as np
from model.inference.openvino_model import load_for_openvino
from model.inference.segmenter import Segmenter
Segmenter(load_for_openvino(sys.argv[1], 64), 64, 1, "flip", "auto").probe()
print({"tensorflow", "keras", "torch", "jax"} & sys.modules.keys())
"""


@pytest.mark.parametrize("name", ["basnet_mini", "own.weights.h5"])
def test_neither_tensorflow_nor_keras_is_imported(tmp_path, name):
    (tmp_path / "own.weights.h5").write_bytes(WEIGHTS.read_bytes())
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, name],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "set()\n", done.stderr
