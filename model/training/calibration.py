"""Moments of batch normalisation, taken anew for the network that is kept in the end."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

import keras
import numpy as np


@contextlib.contextmanager
def finished(network: keras.Model, batches: Iterable[np.ndarray]) -> Iterator[None]:
    """Inside, a network in training is as it would be kept; afterwards, as it was.

    Its weights are their moving averages, if its optimizer keeps any, and its moments fit them.

    Args:
        network: the compiled model.
        batches: as for `calibrate`.
    """
    layers = [layer for layer in network.layers if layer.trainable]
    changing = [variable for layer in layers for variable in layer.variables]
    kept = [keras.ops.convert_to_numpy(variable) for variable in changing]
    if network.optimizer.use_ema:
        network.optimizer.finalize_variable_values(network.trainable_variables)
    calibrate(network, batches)
    try:
        yield
    finally:
        for variable, value in zip(changing, kept, strict=True):
            variable.assign(value)


def calibrate(network: keras.Model, batches: Iterable[np.ndarray]) -> None:
    """Sets moving means and variances of trainable layers to averages over whole batches of images.

    While a network is trained, they follow the weights of the last few steps, and crops that are
    smaller than the photos to come. Averaged weights need their own (Izmailov et al. 2018,
    "Averaging Weights Leads to Wider Optima", section 3.2), and so does another size (Touvron et
    al. 2019, "Fixing the train-test resolution discrepancy").

    Args:
        network: a model, changed in place.
        batches: images (N, S, S, 3) in the network's range, any dtype, at least one batch.
    """
    layers = [
        layer
        for layer in network.layers
        # One that is not trainable keeps its moments, in training, too.
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
    ]
    moving = [v for layer in layers for v in (layer.moving_mean, layer.moving_variance)]
    momenta = [layer.momentum for layer in layers]
    sums, count = [0.0] * len(moving), 0
    for layer in layers:
        layer.momentum = 0.0
    try:
        for images in batches:
            network(images.astype("float32"), training=True)
            values = [keras.ops.convert_to_numpy(variable) for variable in moving]
            sums = [total + value for total, value in zip(sums, values, strict=True)]
            count += 1
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
    for variable, total in zip(moving, sums, strict=True):
        variable.assign(total / count)
