import keras
import numpy as np
import pytest
from keras import layers

from model.inference.batch_norm_folding import fold_batch_norm
from model.inference.upsampled_convolution import UpsampledConv2D
from model.inference.upsampling_fusion import fuse_upsampling
from tests.model.inference.graphs import SIZE, batch, conv, graph, norm


def fused(model, shape, dtype="float32"):
    return fuse_upsampling(fold_batch_norm(model, shape, dtype))


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
def test_upsampling_becomes_part_of_the_convolution(features):
    for sides in ((SIZE, SIZE), (SIZE // 2, SIZE)):
        model = graph(features)
        images = batch()[:, : sides[0], : sides[1]]
        fast = fused(model, images.shape)
        left = [type(layer) for layer in fast.layers]
        assert layers.UpSampling2D not in left and UpsampledConv2D in left
        expected = np.asarray(model(images))
        assert expected.std() > 0.01
        np.testing.assert_allclose(fast(images), expected, atol=1e-5)
        near = np.asarray(fused(model, images.shape, "bfloat16")(images))
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
def test_other_upsamplings_are_kept(features):
    model = graph(features)
    plain = fold_batch_norm(model, batch().shape)
    fast = fuse_upsampling(plain)
    assert fast is plain
