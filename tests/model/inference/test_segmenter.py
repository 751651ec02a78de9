import gc
import io
import weakref
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from model.inference.load import load_model
from model.inference.segmenter import Segmenter
from model.networks.basnet import BASNet
from tests.model.toy import toy

ROOT = Path(__file__).parents[3]
SAMPLE = ROOT / "pipeline" / "sample"


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


def test_refuses_unknown_augmentations(mini):
    with pytest.raises(ValueError, match="must be one of none, flip; got 'rotate'"):
        Segmenter(mini, 64, 1, tta="rotate")


@pytest.fixture(scope="module")
def photos():
    """The bundled photos as squares of 224 pixels."""
    records = [str(path) for path in sorted(SAMPLE.glob("*.tfrecord"))]
    images = []
    for record in tf.data.TFRecordDataset(records).as_numpy_iterator():
        feature = tf.train.Example.FromString(record).features.feature
        image = Image.open(io.BytesIO(feature["image/encoded"].bytes_list.value[0]))
        images.append(np.asarray(image.convert("RGB").resize((224, 224))))
    return np.stack(images)


# Bounds on the mean difference of maps and on the share of pixels on the other side of 0.5, over
# all photos, since a single one can be far off where the network is unsure.
@pytest.mark.parametrize(
    ("precision", "mean", "share"),
    # Measured on a processor without either: 0.0042 and 0.0042, 0.0006 and 0.0006.
    [("bfloat16", 0.006, 0.006), pytest.param("float16", 0.001, 0.0012, marks=pytest.mark.slow)],
)
def test_other_precisions_are_near(mini, photos, precision, mean, share):
    exact = Segmenter(mini, 224, 11)(photos)
    near = Segmenter(mini, 224, 11, precision=precision)(photos)
    assert near.dtype == np.float32
    assert len(np.unique(near)) > 1000  # The sigmoid is not rounded.
    assert 0 < np.abs(near - exact).mean() < mean
    assert ((near >= 0.5) != (exact >= 0.5)).mean() < share


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_map_does_not_depend_on_which_images_came_with_it(mini, images, precision):
    segmenter = Segmenter(mini, 64, 3, precision=precision)
    together = segmenter(images)
    others = segmenter(np.stack([images[1], 255 - images[2], images[0]]))
    np.testing.assert_array_equal(others[[2, 0]], together[:2])


def test_refuses_unknown_precisions(mini):
    with pytest.raises(ValueError, match="must be one of float32, .*; got 'double'"):
        Segmenter(mini, 64, 1, precision="double")


@keras.saving.register_keras_serializable()
class Counting(keras.layers.Layer):
    """Counts how often its Python code runs."""

    calls = 0

    def call(self, images):
        Counting.calls += 1
        return images


def test_the_graph_is_traced_once(images):
    segmenter = Segmenter(model(lambda image: conv()(Counting()(image))), 64, 3)
    Counting.calls = 0
    for count in (3, 1, 2, 3):
        segmenter(images[:count])
    assert Counting.calls == 1


def test_more_images_than_a_batch_are_segmented_in_several(images):
    segmenter, together = Segmenter(toy(), 64, 2), Segmenter(toy(), 64, 3)(images)
    np.testing.assert_allclose(segmenter(images), together, atol=1e-6)


def test_keeps_one_copy_of_the_weights():
    network = toy()
    before = [weakref.ref(weight) for weight in network.weights]
    segmenter = Segmenter(network, 64, 1)
    del network
    gc.collect()
    assert not [weight for weight in before if weight() is not None]
    assert segmenter(np.zeros((1, 64, 64, 3), np.uint8)).shape == (1, 64, 64)


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


# Sorted by name, the outputs would be in another order.
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
def test_segments_by_the_first_output_of_any_structure(outputs, images, tmp_path):
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
    """A network that fails unless sides are multiples of 64, though its input shape allows any."""
    pooled = keras.layers.UpSampling2D(64)(keras.layers.AveragePooling2D(64)(image))
    return conv()(keras.layers.Concatenate()([image, pooled]))


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        (
            conv(activation=None, kernel_initializer=keras.initializers.GlorotUniform(seed=0)),
            r"values from -\d.* to \d.*, .* if these are logits, add a sigmoid",
        ),
        (conv(activation="relu", kernel_initializer="ones"), r"from 0 to \d.*add a sigmoid"),
        (conv(bias_initializer=keras.initializers.Constant(np.nan)), "values that are not finite"),
        (conv(strides=2), r"map of an image \(96, 96\) is \(48, 48\); a map must be as large"),
        (keras.layers.UpSampling2D(2), r"first output is \(None, None, 3\)"),
        (skipping, r"fails on an image \(96, 96, 3\): .*96.* 64.*another image_size may do"),
    ],
)
def test_a_probe_refuses_outputs_that_are_no_probability_maps(outputs, message):
    with pytest.raises(ValueError, match=message) as caught:
        Segmenter(model(outputs), 96, 2).probe()
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_a_probe_allows_for_rounding():
    ones = conv(bias_initializer=keras.initializers.Constant(100.0))
    network = model(lambda image: keras.layers.Rescaling(1 + 1e-6)(ones(image)))
    assert np.asarray(network(np.zeros((1, 64, 64, 3)))).max() > 1
    Segmenter(network, 64, 1).probe()
