import json
import pickle
import zipfile

import keras
import numpy as np
import pytest

from model.basnet import BASNet
from model.presets import PRESETS
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


def flipped(mini, images):
    """The mean of an image's map and of its mirror image's, one plain call each."""

    def maps(x):
        return np.asarray(mini(x.astype("float32"), training=False)[0])[..., 0]

    return np.mean([maps(images), np.flip(maps(np.flip(images, axis=2)), axis=2)], axis=0)


def test_flip_is_the_mean_with_the_mirrored_image(mini, images):
    segmenter, expected = Segmenter(mini, 64, batch_size=3, tta="flip"), flipped(mini, images)
    for count in (1, 3):
        maps = segmenter(images[:count])
        assert maps.shape == (count, 64, 64)
        assert maps.dtype == np.float32
        np.testing.assert_allclose(maps, expected[:count], atol=1e-5)


def test_with_flip_a_mirrored_image_has_the_mirrored_map(images):
    keras.utils.set_random_seed(2)
    layers = [keras.layers.Rescaling(1 / 255), conv(kernel_size=3, padding="same")]
    network = keras.Sequential([keras.Input((64, 64, 3)), *layers])
    mirrored = images[:, :, ::-1]
    flip, plain = (Segmenter(network, 64, 3, tta) for tta in ("flip", "none"))
    np.testing.assert_allclose(flip(mirrored), flip(images)[:, :, ::-1], atol=1e-6)
    assert np.abs(plain(mirrored) - plain(images)[:, :, ::-1]).max() > 1e-3


def test_refuses_an_augmentation_that_there_is_not(mini):
    with pytest.raises(ValueError, match="must be one of none, flip; got 'rotate'"):
        Segmenter(mini, 64, 1, tta="rotate")


def conv(filters=1, kernel_size=1, activation="sigmoid", **kwargs):
    return keras.layers.Conv2D(filters, kernel_size, activation=activation, **kwargs)


def model(outputs, shape=(None, None, 3)):
    """A network of one input, whose outputs a function of it gives."""
    image = keras.Input(shape)
    return keras.Model(image, outputs(image))


class Subclassed(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.conv = conv()

    def call(self, images):
        return self.conv(images)


def pair():
    inputs = [keras.Input((None, None, 3)), keras.Input((None, None, 3))]
    return keras.Model(inputs, conv()(keras.layers.Add()(inputs)))


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            lambda: model(keras.layers.GlobalAveragePooling2D()),
            r"first output is \(3,\); a map would be \(64, 64, 1\)",
        ),
        (
            lambda: model(conv(2)),
            r"first output is \(None, None, 2\); a map would be \(64, 64, 1\)",
        ),
        (lambda: model(conv(strides=2), (64, 64, 3)), r"first output is \(32, 32, 1\)"),
        (
            lambda: model(conv(), (32, 32, 3)),
            r"takes \(32, 32, 3\); images are \(64, 64, 3\); an image_size of 32 would do",
        ),
        (lambda: model(conv(), (None, None, 1)), r"takes \(None, None, 1\); images are"),
        (lambda: model(conv(), (32, 96, 3)), r"takes \(32, 96, 3\); images are \(64, 64, 3\)$"),
        (lambda: model(conv(), (100, 100, 3)), r"takes \(100, 100, 3\); images are \(64, 64, 3\)$"),
        (lambda: model(keras.layers.Dense(1), (5,)), r"takes \(5,\); images are"),
        (pair, r"takes \(None, None, 3\), \(None, None, 3\); .*; a model of one input would do"),
        (Subclassed, "a Subclassed, has no fixed graph of layers .* functional model"),
        (lambda: keras.Sequential([conv()]), "a Sequential, has no fixed graph .* with an Input"),
    ],
)
def test_refuses_networks_that_give_no_map(network, message):
    with pytest.raises(ValueError, match=message):
        Segmenter(network(), 64, 1)


# Sorted by their names, the outputs would come in another order.
@pytest.mark.parametrize(
    "outputs",
    [
        lambda image: conv()(image),
        lambda image: [conv()(image), conv(3)(image)],
        lambda image: {"refined": conv()(image), "edges": conv()(image)},
        lambda image: {"refined": [conv()(image), conv()(image)], "edges": conv()(image)},
    ],
    ids=["tensor", "list", "dict", "nested"],
)
def test_segments_by_the_first_output_however_they_are_held(outputs, images, tmp_path):
    keras.utils.set_random_seed(1)
    model(lambda image: outputs(keras.layers.Rescaling(1 / 255)(image))).save(
        tmp_path / "net.keras"
    )
    network = keras.saving.load_model(tmp_path / "net.keras")
    expected = network(images.astype("float32"))
    while not hasattr(expected, "shape"):
        expected = next(iter(expected.values())) if isinstance(expected, dict) else expected[0]
    found = Segmenter(load_model(str(tmp_path / "net.keras")), 64, 3)(images)
    np.testing.assert_allclose(found, np.asarray(expected)[..., 0], atol=1e-6)
    assert found.std() > 0.01


def test_a_sequential_with_an_input_is_a_network(images):
    network = keras.Sequential([keras.Input((64, 64, 3)), keras.layers.Rescaling(1 / 255), conv()])
    segmenter = Segmenter(network, 64, 3)
    segmenter.probe()
    expected = np.asarray(network(images.astype("float32")))[..., 0]
    np.testing.assert_allclose(segmenter(images), expected, atol=1e-6)


def skipping(image):
    """A network for images whose sides are multiples of 64, which its shapes do not say."""
    pooled = keras.layers.UpSampling2D(64)(keras.layers.AveragePooling2D(64)(image))
    return conv()(keras.layers.Concatenate()([image, pooled]))


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        (
            conv(activation=None),
            r"values from -\d.* to \d.*, .* if these are logits, add a sigmoid",
        ),
        (conv(activation="relu", kernel_initializer="ones"), r"from 0 to \d.*add a sigmoid"),
        (conv(bias_initializer=keras.initializers.Constant(np.nan)), "values that are not finite"),
        (conv(strides=2), r"map of an image \(96, 96\) is \(48, 48\); a map as large as the image"),
        (keras.layers.UpSampling2D(2), r"first output is \(None, None, 3\)"),
        (skipping, r"fails on an image \(96, 96, 3\): .*96 and 64.*another image_size may do"),
    ],
)
def test_a_probe_refuses_what_is_no_map(outputs, message):
    with pytest.raises(ValueError, match=message) as caught:
        Segmenter(model(outputs), 96, 2).probe()
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_a_probe_allows_for_rounding():
    ones = conv(bias_initializer=keras.initializers.Constant(100.0))
    network = model(lambda image: keras.layers.Rescaling(1 + 1e-6)(ones(image)))
    assert np.asarray(network(np.zeros((1, 64, 64, 3)))).max() > 1
    Segmenter(network, 64, 1).probe()


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
    with pytest.raises(ValueError, match="fit none of the presets' networks; .* a .keras file"):
        load_model(str(tmp_path / "other.weights.h5"))


class Unregistered(keras.layers.Layer):
    def call(self, images):
        return images[..., :1]


def archive(path, **changes):
    """A good file, of which the parts named are replaced; None leaves a part out."""
    model(conv()).save(path)
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()} | changes
    with zipfile.ZipFile(path, "w") as file:
        for name, data in parts.items():
            if data is not None:
                file.writestr(name, data)


def cut(path, part):
    model(conv()).save(path)
    path.write_bytes(path.read_bytes()[part])


def one_byte_changed(path):
    model(conv()).save(path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def of_other_weights(path):
    keras.Sequential([keras.Input((None, None, 3)), conv(2)]).save(path)
    with zipfile.ZipFile(path) as file:
        archive(path, **{"model.weights.h5": file.read("model.weights.h5")})


def layer(path):
    archive(path, **{"config.json": json.dumps(keras.saving.serialize_keras_object(conv()))})


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: path.write_text("weights"), "it is no .keras file, or only a part of one"),
        (lambda path: path.write_bytes(b""), "it is no .keras file"),
        (lambda path: path.write_bytes(pickle.dumps({"weights": 1})), "it is no .keras file"),
        (lambda path: cut(path, slice(None, -100)), "only a part of one"),
        (lambda path: cut(path, slice(200, None)), "Keras does not load it: .*undamaged"),
        (one_byte_changed, "Bad CRC-32 for file"),
        (lambda path: archive(path, **{"config.json": None}), "no item named 'config.json'"),
        (lambda path: archive(path, **{"config.json": "[]"}), "list indices must be integers"),
        (lambda path: archive(path, **{"config.json": "{"}), "Expecting property name"),
        (lambda path: archive(path, **{"model.weights.h5": None}), "Expected a model.weights.h5"),
        (lambda path: archive(path, **{"model.weights.h5": b"x"}), "file signature not found"),
        (of_other_weights, "A total of 1 objects could not be loaded"),
        (layer, "it holds a Conv2D; a model would do"),
        (
            lambda path: model(Unregistered()).save(path),
            "Keras does not load it: Could not locate class 'Unregistered'.*Keras' own layers",
        ),
        (
            lambda path: Subclassed().save(path),
            "Keras does not load it: Could not locate class 'Subclassed'",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:You are saving a model that has not yet been built")
def test_refuses_broken_and_foreign_keras_files_in_a_line(write, message, tmp_path):
    path = tmp_path / "net.keras"
    write(path)
    with pytest.raises(ValueError, match=message) as caught:
        load_model(str(path))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_runs_no_code_from_a_file(tmp_path):
    witness = tmp_path / "witness"
    path = str(tmp_path / "net.keras")

    layer = keras.layers.Lambda(
        lambda images, file: (open(file, "w").close(), images[..., :1])[1],
        output_shape=(None, None, 1),
        arguments={"file": str(witness)},
    )
    model(layer).save(path)
    # The function does leave its mark where Keras is told to trust the file.
    keras.saving.load_model(path, safe_mode=False)(np.zeros((1, 4, 4, 3)))
    witness.unlink()
    with pytest.raises(ValueError, match="Keras does not load it: .*Lambda.*Keras' own") as caught:
        load_model(path)
    assert not witness.exists()
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_refuses_damaged_weights(tmp_path):
    path = tmp_path / "cut.weights.h5"
    path.write_bytes(PRESETS["basnet_mini"].weights.read_bytes()[:100_000])
    with pytest.raises(ValueError, match="cannot be read: .*truncated file.*; save or copy"):
        load_model(str(path))
