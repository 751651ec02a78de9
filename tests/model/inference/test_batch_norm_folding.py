import keras
import numpy as np
import pytest
from keras import layers

from model.inference.batch_norm_folding import fold_batch_norm
from model.networks.basnet import BASNet
from model.networks.efficientnet import EfficientNetLite0
from model.networks.resnet import ResNetBackbone
from model.presets import PRESETS
from tests.model.inference.graphs import SIZE, batch, conv, graph, norm, randomize


def norms(model):
    """The normalisations of a model, nested ones included."""
    nested = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    own = {layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)}
    return own.union(*map(norms, nested))


def assert_folds(model, left=0, size=SIZE, atol=1e-4):
    """Checks that ``left`` normalisations remain, that the output is the same, the model too."""
    before = [weight.copy() for weight in model.get_weights()]
    description = model.to_json()
    images = batch(size)
    expected = model(images, training=False)
    expected = np.asarray(expected[0] if isinstance(expected, list) else expected)
    assert expected.std() > 0.01
    first = keras.Model(model.inputs, model.outputs[0])
    fast = fold_batch_norm(first, images.shape)
    assert len(norms(first)) > len(norms(fast)) == left
    np.testing.assert_allclose(fast(images, training=False), expected, atol=atol)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert model.to_json() == description
    return fast


def network(name, **changes):
    """A preset's structure with one class, made narrower by ``changes``."""
    chosen = PRESETS[name]
    config = {**chosen.config, "input_shape": (None, None, 3), "include_rescaling": True}
    if "stackwise_filters" in changes:
        config["projection_filters"] = changes["stackwise_filters"][0]
    arguments = {**chosen.backbone, **changes}
    backbone = ResNetBackbone.from_preset(**arguments) if arguments else EfficientNetLite0()
    return randomize(BASNet(backbone, **{"num_classes": 1, **config}))


NARROW = {"preset": "resnet18", "stackwise_filters": (8, 16, 32, 64)}
# KerasCV's and KerasHub's first stage cannot be narrower, and the decoder is 8 times as wide.
WIDE = {"preset": "resnet18", "stackwise_filters": (64, 8, 8, 8), "stackwise_blocks": (1, 1, 1, 1)}


@pytest.mark.parametrize(
    ("preset", "changes"),
    [
        ("basnet_mini", {}),
        ("basnet_paper", NARROW),
        pytest.param("basnet_resnet18", WIDE, marks=pytest.mark.slow),
        pytest.param("basnet_resnet18", {**WIDE, "style": "keras_hub"}, marks=pytest.mark.slow),
    ],
)
def test_folds_the_structure_of_each_preset(preset, changes):
    assert_folds(network(preset, **changes))


@pytest.mark.slow
def test_folds_a_network_from_a_file(tmp_path):
    model = network("basnet_mini")
    keras.Model(model.inputs, model.outputs).save(tmp_path / "net.keras")
    assert_folds(keras.saving.load_model(tmp_path / "net.keras"))


def padded(x):
    return norm()(conv(padding="valid", strides=2, use_bias=False)(layers.ZeroPadding2D(1)(x)))


def nested(x):
    inner = keras.Input((None, None, 3))
    inner = keras.Model(inner, norm()(conv()(inner)))
    return keras.Sequential([conv(), norm(), layers.ReLU()])(inner(x))


@pytest.mark.parametrize(
    "features",
    [
        lambda x: norm()(conv()(x)),
        lambda x: norm()(conv(use_bias=False)(x)),
        lambda x: norm(scale=False)(conv()(x)),
        lambda x: norm(center=False)(conv()(x)),
        lambda x: norm(scale=False, center=False, epsilon=0.1)(conv(use_bias=False)(x)),
        lambda x: norm(axis=3)(conv()(x), training=False),
        lambda x: norm()(conv(dilation_rate=2)(x)),
        lambda x: norm()(layers.Conv2D(6, 3, groups=3, padding="same")(x)),
        lambda x: norm()(layers.DepthwiseConv2D(3, padding="same")(x)),
        lambda x: norm()(
            layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, use_bias=False)(x)
        ),
        lambda x: norm()(conv()(norm()(conv()(x)))),
        padded,
        nested,
    ],
    ids=[
        *("bias", "no bias", "no gamma", "no beta", "neither", "axis 3", "dilated", "groups"),
        *("depthwise", "multiplied", "two", "padded", "nested"),
    ],
)
def test_folds_what_follows_a_convolution(features):
    model = graph(features)
    assert_folds(model)


def two_consumers(x):
    y = conv()(x)
    return layers.Concatenate()([norm()(y), y])


def two_norms(x):
    y = conv()(x)
    return layers.Concatenate()([norm()(y), norm()(y)])


def called_twice(x):
    shared = layers.Conv2D(3, 3, padding="same")
    return norm()(shared(layers.ReLU()(shared(x))))


def norm_called_twice(x):
    shared = norm()
    return layers.Add()([shared(conv()(x)), shared(conv()(x))])


def across(x):
    """The convolution of a nested model that is called twice."""
    inner = keras.Sequential([keras.Input((None, None, 3)), layers.Conv2D(3, 1), norm()])
    return inner(inner(x))


def in_training(x):
    """By the moments of the batch."""
    return norm()(conv()(x), training=True)


class Doubling(layers.Conv2D):
    def call(self, inputs):
        return 2 * super().call(inputs)


@pytest.mark.parametrize(
    ("features", "left"),
    [
        (lambda x: norm()(x), 1),
        (lambda x: norm()(layers.Add()([conv()(x), conv()(x)])), 1),
        (lambda x: norm()(conv(activation="relu")(x)), 1),
        (lambda x: norm()(layers.ReLU()(conv()(x))), 1),
        (lambda x: norm()(layers.Conv2DTranspose(4, 2)(x)), 1),
        (lambda x: norm()(Doubling(4, 1)(x)), 1),
        (two_consumers, 1),
        (two_norms, 2),
        (called_twice, 1),
        (norm_called_twice, 1),
        (across, 1),
        (in_training, 1),
    ],
    ids=[
        *("pixels", "add", "activation", "relu", "transposed", "subclass"),
        *("two consumers", "two norms", "conv twice", "norm twice", "nested twice"),
        "in training",
    ],
)
def test_leaves_other_normalisations(features, left):
    model = graph(lambda x: norm()(conv()(features(x))))
    assert_folds(model, left)


def test_leaves_normalisations_over_other_axes():
    model = graph(lambda x: norm(axis=1)(conv()(norm()(conv()(x)))), (SIZE, SIZE))
    assert_folds(model, left=1)


def test_a_nested_model_that_is_called_in_training_is_kept():
    inner = keras.Sequential([keras.Input((None, None, 3)), conv(), norm()])
    model = graph(lambda x: norm()(conv()(inner(x, training=True))))
    assert_folds(model, left=1)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_pixels_are_scaled_in_float32(dtype):
    """By a layer with moments as weights, and by one with constants."""
    # In bfloat16 all of these pixels would be 128.
    near = np.random.default_rng(0).uniform(127.9, 128.1, (2, SIZE, SIZE, 3)).astype("float32")
    adapted = layers.Normalization()
    adapted.adapt(near)
    for scaling in (adapted, layers.Rescaling(16.0, offset=-16.0 * 128)):
        image = keras.Input((None, None, 3))
        outputs = layers.Conv2D(1, 1, activation="sigmoid", kernel_initializer="ones")
        model = keras.Model(image, outputs(scaling(image)))
        expected = np.asarray(model(near))
        assert expected.std() > 0.1
        fast = fold_batch_norm(model, near.shape, dtype)
        np.testing.assert_allclose(fast(near, training=False), expected, atol=1e-6)


def stored(model):
    """Bytes of the weights of each type."""
    return {
        str(dtype): sum(weight.numpy().nbytes for weight in model.weights if weight.dtype == dtype)
        for dtype in {weight.dtype for weight in model.weights}
    }


@pytest.mark.parametrize(
    "dtype",
    [
        "bfloat16",
        pytest.param("float16", marks=pytest.mark.slow),
        pytest.param("float32", marks=pytest.mark.slow),
    ],
)
def test_weights_are_stored_in_the_precision(dtype):
    model = network("basnet_mini")
    first = keras.Model(model.inputs, model.outputs[0])
    fast = fold_batch_norm(first, (2, SIZE, SIZE, 3), dtype)
    kernels = sum(weight.numpy().size for weight in first.weights if weight.name == "kernel")
    found = stored(fast)
    assert set(found) == {dtype}
    size = np.dtype(dtype).itemsize if dtype != "bfloat16" else 2
    # The rest are biases.
    assert kernels < found[dtype] / size < 1.02 * kernels
    assert fast.outputs[0].dtype == "float32"


def test_other_weights_keep_all_their_bits():
    """Moments of a normalisation that stays, and the last layer."""
    model = graph(lambda x: norm()(layers.ReLU()(conv()(x))))
    fast = fold_batch_norm(model, (2, SIZE, SIZE, 3), "bfloat16")
    types = {weight.path.split("/")[-1]: weight.dtype for weight in fast.weights[:-2]}
    assert types == {
        **{"kernel": "bfloat16", "bias": "bfloat16", "gamma": "float32", "beta": "float32"},
        **{"moving_mean": "float32", "moving_variance": "float32"},
    }
    assert {weight.dtype for weight in fast.weights[-2:]} == {"float32"}


@pytest.mark.parametrize(("dtype", "atol"), [("bfloat16", 0.03), ("float16", 0.004)])
def test_kernels_are_folded_before_they_are_rounded(dtype, atol):
    """The mean is a hundred standard deviations, so moments that were rounded would be far off."""
    image = keras.Input((None, None, 3))
    x = layers.Conv2D(3, 1, kernel_initializer="ones")(layers.Rescaling(1 / 255)(image))
    outputs = layers.Activation("sigmoid")(norm(epsilon=0.0)(x))
    model = keras.Model(image, layers.Conv2D(1, 1, kernel_initializer="ones")(outputs))
    for name, value in (("beta", 100.3), ("moving_mean", 100.0)):
        getattr(next(iter(norms(model))), name).assign([value] * 3)
    images = batch()
    fast = fold_batch_norm(model, images.shape, dtype)
    np.testing.assert_allclose(fast(images), model(images), atol=atol)


def test_the_last_step_is_in_float32_if_it_is_no_layer():
    image = keras.Input((None, None, 3))
    logits = layers.Conv2D(1, 1)(layers.ReLU()(conv()(layers.Rescaling(1 / 255)(image))))
    model = randomize(keras.Model(image, keras.ops.sigmoid(logits)))
    fast = fold_batch_norm(model, (2, SIZE, SIZE, 3), "bfloat16")
    assert fast.outputs[0].dtype == "float32"
    np.testing.assert_allclose(fast(batch()), model(batch()), atol=0.02)


def test_refuses_batches_that_do_not_fit():
    model = graph(lambda x: layers.UpSampling2D(64)(layers.AveragePooling2D(64)(x)))
    with pytest.raises(ValueError, match="zero or negative"):
        fold_batch_norm(model, (2, SIZE, SIZE, 3))
