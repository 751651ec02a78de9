import keras
import numpy as np
import pytest

from model.networks.refine_module import refine_module


@pytest.mark.parametrize("classes", [1, 3])
def test_a_head_of_zeros_leaves_the_coarse_map(classes):
    coarse = keras.Input((None, None, classes))
    head = keras.layers.Conv2D(classes, 3, padding="same", kernel_initializer="zeros")
    model = keras.Model(coarse, refine_module(coarse, 4, head, "paper"))
    maps = np.random.default_rng(0).normal(size=(1, 32, 48, classes)).astype("float32")
    np.testing.assert_array_equal(model(maps), maps)
