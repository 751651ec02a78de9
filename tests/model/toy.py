"""A network so small that training it takes a moment."""

from types import SimpleNamespace

import keras


def toy(**_):
    """One output, a few weights, but all kinds of state: kernels, moments, random seeds."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(8, 3, padding="same")(x)
    x = keras.layers.BatchNormalization(momentum=0.8)(x)
    x = keras.layers.Dropout(0.1, seed=5)(keras.layers.ReLU()(x))
    outputs = keras.layers.Conv2D(1, 3, padding="same", activation="sigmoid", dtype="float32")(x)
    network = keras.Model(inputs, outputs)
    network.backbone = SimpleNamespace(layers=network.layers[:4])
    return network
