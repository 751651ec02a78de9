import keras
import numpy as np
import pytest
from keras import layers

from model.inference.batch_norm_folding import folded
from model.inference.upsampled_convolution import UpsampledConv2D
from model.networks.basnet import BASNet
from model.networks.efficientnet import EfficientNetLite0
from model.networks.resnet import ResNetBackbone
from model.presets import PRESETS

SIZE = 32


def randomize(model, seed=0):
    """Weights that keep the size of the features, as trained ones do; half the gammas negative."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        match weight.name:
            case "kernel" | "depthwise_kernel":
                inputs = weight.shape[: 2 if "depthwise" in weight.path else -1]
                value = rng.standard_normal(weight.shape) * np.sqrt(2 / np.prod(inputs))
            case "gamma":
                value = rng.choice([-1, 1], weight.shape) * rng.uniform(0.5, 1, weight.shape)
            case "moving_variance":
                value = rng.uniform(0.5, 1.5, weight.shape)
            case _:
                value = 0.1 * rng.standard_normal(weight.shape)
        weight.assign(value)
    return model


def batch(size=SIZE):
    return np.random.default_rng(1).integers(0, 256, (2, size, size, 3)).astype("float32")


def norms(model):
    """The normalisations of a model, nested ones included."""
    nested = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    own = {layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)}
    return own.union(*map(norms, nested))


def assert_folds(model, left=0, size=SIZE, atol=1e-4):
    """Folding leaves so many normalisations, and the first output and the model as they were."""
    before = [weight.copy() for weight in model.get_weights()]
    nodes = [len(layer._inbound_nodes) for layer in model.layers]
    images = batch(size)
    expected = model(images, training=False)
    expected = np.asarray(expected[0] if isinstance(expected, list) else expected)
    assert expected.std() > 0.01
    first = keras.Model(model.inputs, model.outputs[0])
    fast = folded(first, images.shape)
    assert len(norms(first)) > len(norms(fast)) == left
    np.testing.assert_allclose(fast(images, training=False), expected, atol=atol)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert [len(layer._inbound_nodes) for layer in model.layers] == nodes
    return fast


def network(name, **changes):
    """A preset's structure with one class; only the paper's can be narrow."""
    chosen = PRESETS[name]
    config = {**chosen.config, "input_shape": (None, None, 3), "include_rescaling": True}
    if "stackwise_filters" in changes:
        config["projection_filters"] = changes["stackwise_filters"][0]
    arguments = {**chosen.backbone, **changes}
    backbone = ResNetBackbone.from_preset(**arguments) if arguments else EfficientNetLite0()
    return randomize(BASNet(backbone, **{"num_classes": 1, **config}))


NARROW = {"preset": "resnet18", "stackwise_filters": (8, 16, 32, 64)}


@pytest.mark.parametrize(
    ("preset", "changes"),
    [
        ("basnet_mini", {}),
        ("basnet_paper", NARROW),
        # KerasCV's cannot be narrow, which takes long; the others differ by the number of blocks.
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (
                ("basnet_resnet18", {}),
                ("basnet_paper", {}),
                ("basnet_resnet34", {}),
                ("basnet_resnet34", {"style": "keras_hub"}),
            )
        ),
    ],
)
def test_folds_the_structure_of_each_preset(preset, changes):
    assert_folds(network(preset, **changes))


@pytest.mark.slow
def test_folds_a_network_from_a_file(tmp_path):
    model = network("basnet_mini")
    keras.Model(model.inputs, model.outputs).save(tmp_path / "net.keras")
    assert_folds(keras.saving.load_model(tmp_path / "net.keras"))


def graph(features, sides=(None, None)):
    """A network whose features, of pixels from 0 to 1, a function gives."""
    image = keras.Input((*sides, 3))
    x = features(layers.Rescaling(1 / 255)(image))
    return randomize(keras.Model(image, layers.Conv2D(1, 1, activation="sigmoid")(x)))


def conv(**kwargs):
    return layers.Conv2D(8, 3, **{"padding": "same", **kwargs})


def norm(**kwargs):
    return layers.BatchNormalization(**kwargs)


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


def test_a_normalisation_in_training_has_what_is_before_it_folded_only():
    inner = keras.Sequential([keras.Input((None, None, 3)), conv(), norm()])
    model = graph(lambda x: norm()(conv()(inner(x, training=True))))
    assert_folds(model, left=1)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_pixels_are_scaled_as_they_were(dtype):
    """By a layer that was adapted, whose moments are weights, and by one with numbers."""
    # Between them bfloat16 has 128 alone.
    near = np.random.default_rng(0).uniform(127.9, 128.1, (2, SIZE, SIZE, 3)).astype("float32")
    adapted = layers.Normalization()
    adapted.adapt(near)
    for scaling in (adapted, layers.Rescaling(16.0, offset=-16.0 * 128)):
        image = keras.Input((None, None, 3))
        outputs = layers.Conv2D(1, 1, activation="sigmoid", kernel_initializer="ones")
        model = keras.Model(image, outputs(scaling(image)))
        expected = np.asarray(model(near))
        assert expected.std() > 0.1
        fast = folded(model, near.shape, dtype)
        np.testing.assert_allclose(fast(near, training=False), expected, atol=1e-6)


def decoded(x, wide=48, size=2, interpolation="bilinear", flipped=False, **kwargs):
    """A decoder's stage: features of half the sides, which are upsampled and convolved."""
    beside = conv()(x)
    below = layers.Conv2D(wide, 3, strides=size, padding="same", activation="relu")(x)
    below = layers.UpSampling2D(size, interpolation=interpolation)(below)
    below = [below, beside] if flipped else [beside, below]
    return conv(**kwargs)(layers.Concatenate()(below))


@pytest.mark.parametrize(
    "features",
    [
        decoded,
        lambda x: decoded(x, use_bias=False),
        lambda x: norm()(decoded(x)),
        lambda x: decoded(decoded(x)),
        lambda x: keras.Sequential([layers.ReLU()])(decoded(x)),
    ],
    ids=["bias", "no bias", "normalised", "two", "nested"],
)
def test_upsampling_is_part_of_the_convolution(features):
    for sides in ((SIZE, SIZE), (SIZE // 2, SIZE)):
        model = graph(features)
        images = batch()[:, : sides[0], : sides[1]]
        fast = folded(model, images.shape)
        left = [type(layer) for layer in fast.layers]
        assert layers.UpSampling2D not in left and UpsampledConv2D in left
        expected = np.asarray(model(images))
        assert expected.std() > 0.01
        np.testing.assert_allclose(fast(images), expected, atol=1e-5)
        near = np.asarray(folded(model, images.shape, "bfloat16")(images))
        assert 0 < np.abs(near - expected).max() < 0.05


def used_twice(x):
    below = layers.Conv2D(48, 3, strides=2, padding="same")(x)
    below = layers.UpSampling2D(2, interpolation="bilinear")(below)
    return layers.Concatenate()([conv()(layers.Concatenate()([conv()(x), below])), below])


@pytest.mark.parametrize(
    "features",
    [
        lambda x: decoded(x, wide=47),
        lambda x: decoded(x, size=4),
        lambda x: decoded(x, interpolation="nearest"),
        lambda x: decoded(x, flipped=True),
        lambda x: layers.UpSampling2D(2)(decoded(x, strides=2)),
        lambda x: decoded(x, dilation_rate=2),
        lambda x: decoded(x, activation="relu"),
        lambda x: decoded(x, groups=2),
        lambda x: layers.ZeroPadding2D(1)(decoded(x, padding="valid")),
        used_twice,
    ],
    ids=[
        *("narrow", "by four", "nearest", "order", "strides", "dilated", "activation", "groups"),
        *("padding", "used twice"),
    ],
)
def test_other_upsamplings_stay(features):
    model = graph(features)
    fast = folded(model, batch().shape)
    assert not [layer for layer in fast.layers if isinstance(layer, UpsampledConv2D)]
    np.testing.assert_allclose(fast(batch()), model(batch()), atol=1e-5)


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
    fast = folded(first, (2, SIZE, SIZE, 3), dtype)
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
    fast = folded(model, (2, SIZE, SIZE, 3), "bfloat16")
    types = {weight.path.split("/")[-1]: weight.dtype for weight in fast.weights[:-2]}
    assert types == {
        **{"kernel": "bfloat16", "bias": "bfloat16", "gamma": "float32", "beta": "float32"},
        **{"moving_mean": "float32", "moving_variance": "float32"},
    }
    assert {weight.dtype for weight in fast.weights[-2:]} == {"float32"}


@pytest.mark.parametrize(("dtype", "atol"), [("bfloat16", 0.03), ("float16", 0.004)])
def test_is_folded_before_it_is_rounded(dtype, atol):
    """Rounded moments would be far off: a mean of a hundred standard deviations."""
    image = keras.Input((None, None, 3))
    x = layers.Conv2D(3, 1, kernel_initializer="ones")(layers.Rescaling(1 / 255)(image))
    outputs = layers.Activation("sigmoid")(norm(epsilon=0.0)(x))
    model = keras.Model(image, layers.Conv2D(1, 1, kernel_initializer="ones")(outputs))
    for name, value in (("beta", 100.3), ("moving_mean", 100.0)):
        getattr(next(iter(norms(model))), name).assign([value] * 3)
    images = batch()
    fast = folded(model, images.shape, dtype)
    np.testing.assert_allclose(fast(images), model(images), atol=atol)


def test_the_last_step_is_in_float32_if_it_is_no_layer():
    image = keras.Input((None, None, 3))
    logits = layers.Conv2D(1, 1)(layers.ReLU()(conv()(layers.Rescaling(1 / 255)(image))))
    model = randomize(keras.Model(image, keras.ops.sigmoid(logits)))
    fast = folded(model, (2, SIZE, SIZE, 3), "bfloat16")
    assert fast.outputs[0].dtype == "float32"
    np.testing.assert_allclose(fast(batch()), model(batch()), atol=0.02)


def test_refuses_batches_that_do_not_fit():
    model = graph(lambda x: layers.UpSampling2D(64)(layers.AveragePooling2D(64)(x)))
    with pytest.raises(ValueError, match="zero or negative"):
        folded(model, (2, SIZE, SIZE, 3))
