import keras
import numpy as np
import pytest
from keras import layers

from model.inference.upsampled_convolution import UpsampledConv2D


@pytest.mark.parametrize("sides", [(1, 1), (1, 4), (5, 2), (7, 8)])
@pytest.mark.parametrize("use_bias", [True, False])
def test_equals_upsampling_and_then_a_convolution(sides, use_bias):
    """Edges are repeated by the one, and zeros for the other."""
    rng = np.random.default_rng(0)
    height, width = sides
    beside = rng.standard_normal((2, 2 * height, 2 * width, 3)).astype("float32")
    below = rng.standard_normal((2, height, width, 5)).astype("float32")
    conv = layers.Conv2D(4, 3, padding="same", use_bias=use_bias, bias_initializer="normal")
    large = layers.UpSampling2D(2, interpolation="bilinear")(below)
    expected = np.asarray(conv(keras.ops.concatenate([beside, large], axis=-1)))
    layer = UpsampledConv2D(4)
    layer.build([beside.shape, below.shape])
    layer.set_conv_weights(*conv.get_weights())
    np.testing.assert_allclose(layer([beside, below]), expected, atol=1e-5)
