"""Small networks around a few layers, with weights and images to try them on."""

import keras
import numpy as np
from keras import layers

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


def graph(features, sides=(None, None)):
    """A network whose features, of pixels from 0 to 1, a function gives."""
    image = keras.Input((*sides, 3))
    x = features(layers.Rescaling(1 / 255)(image))
    return randomize(keras.Model(image, layers.Conv2D(1, 1, activation="sigmoid")(x)))


def conv(**kwargs):
    return layers.Conv2D(8, 3, **{"padding": "same", **kwargs})


def norm(**kwargs):
    return layers.BatchNormalization(**kwargs)
