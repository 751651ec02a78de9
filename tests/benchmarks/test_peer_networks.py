"""Operations of networks, their random weights, and peers that compute the same."""

import keras
import numpy as np
import pytest
from keras import layers

from benchmarks.peer_networks import keras_hub_network, operations, randomize
from model.networks.basnet import BASNet


@pytest.fixture(scope="module")
def mini():
    """The network of the bundled weights, without them."""
    return BASNet.from_preset("basnet_mini", load_weights=False)


def test_operations_are_counted_for_the_first_output_alone():
    inputs = keras.Input((None, None, 3))
    x = layers.Conv2D(8, 3, padding="same")(inputs)
    first = layers.Conv2D(1, 1)(layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False)(x))
    second = layers.Conv2D(16, 5)(x)
    model = keras.Model(inputs, [first, second])
    expected = 2 * (32 * 32 * 9 * 3 * 8 + 16 * 16 * 9 * 8 * 4 + 16 * 16 * 4 * 1)
    assert operations(model, 32) == expected


def test_dilated_convolutions_count_like_others():
    plain, dilated = (
        keras.Sequential([keras.Input((64, 64, 3)), layers.Conv2D(4, 3, **each, padding="same")])
        for each in ({}, {"dilation_rate": 2})
    )
    assert operations(dilated, 64) == operations(plain, 64)


def test_depthwise_convolutions_count_once_a_channel():
    depthwise = layers.DepthwiseConv2D(3, padding="same")
    model = keras.Sequential([keras.Input((32, 32, 3)), depthwise])
    assert operations(model, 32) == 2 * 32 * 32 * 9 * 3


def test_operations_of_the_bundled_network_are_what_was_counted_by_hand(mini):
    assert operations(mini, 256) == pytest.approx(6.466e9, rel=0.005)


def test_random_weights_keep_features_alive(mini):
    randomize(mini)
    image = np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3))
    found = mini.predict_on_batch(image)[0]
    assert np.isfinite(found).all()
    assert found.std() > 0.005


@pytest.mark.slow
def test_the_network_of_keras_hub_is_ours():
    pytest.importorskip("keras_hub")
    theirs, ours = keras_hub_network()
    pixels = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3)).astype("float32")
    found = theirs(pixels / 255)
    assert found.std() > 0.005
    np.testing.assert_allclose(ours(pixels)[0][..., 0], found, rtol=0, atol=1e-4)
