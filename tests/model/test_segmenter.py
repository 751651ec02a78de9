import keras
import numpy as np
import pytest

from model.basnet import BASNet
from model.segmenter import Segmenter, load_model


@pytest.fixture(scope="module")
def mini():
    return BASNet.from_preset("basnet_mini")


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)


def test_equals_the_refined_output(mini, images):
    maps = Segmenter(mini, 64, batch_size=3)(images)
    assert maps.shape == (3, 64, 64)
    assert maps.dtype == np.float32
    expected = np.asarray(mini(images.astype("float32"), training=False)[0])[..., 0]
    np.testing.assert_allclose(maps, expected, atol=1e-5)


def test_a_map_does_not_depend_on_how_many_images_came_with_it(mini, images):
    segmenter = Segmenter(mini, 64, batch_size=4)
    together = segmenter(images)
    for image, expected in zip(images, together, strict=True):
        np.testing.assert_allclose(segmenter(image[None])[0], expected, atol=1e-6)


def test_refuses_networks_that_give_no_map():
    image = keras.Input((None, None, 3))
    classifier = keras.Model(image, keras.layers.GlobalAveragePooling2D()(image))
    with pytest.raises(ValueError, match=r"first output is \(3,\); a map would be \(64, 64, 1\)"):
        Segmenter(classifier, 64, 1)
    with pytest.raises(ValueError, match=r"takes \(32, 32, 3\); images are \(64, 64, 3\)"):
        Segmenter(BASNet.from_preset("basnet_mini", input_shape=(32, 32, 3)), 64, 1)


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_loads_files(mini, images, tmp_path, suffix):
    path = str(tmp_path / f"mine{suffix}")
    mini.save(path) if suffix == ".keras" else mini.save_weights(path)
    expected = Segmenter(mini, 64, 3)(images)
    np.testing.assert_array_equal(Segmenter(load_model(path), 64, 3)(images), expected)


def test_refuses_other_files(tmp_path):
    with pytest.raises(ValueError, match=r"'model.onnx' is neither a preset \(basnet_mini\)"):
        load_model("model.onnx")
    with pytest.raises(ValueError, match="there is no file 'missing.keras'"):
        load_model("missing.keras")
    with pytest.raises(ValueError, match="'basnet_resnet34' has no weights"):
        load_model("basnet_resnet34")
    other = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    other.save_weights(tmp_path / "other.weights.h5")
    with pytest.raises(ValueError, match="fit none of the presets' networks"):
        load_model(str(tmp_path / "other.weights.h5"))
