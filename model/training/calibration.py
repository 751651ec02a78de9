"""Moments of batch normalisation, computed again for the weights that are kept."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

import keras
import numpy as np


@contextlib.contextmanager
def finished(network: keras.Model, batches: Iterable[np.ndarray]) -> Iterator[None]:
    """Swaps in the averaged weights for the duration of the block, as for saving or validation.

    The averages are those of the optimizer, if it keeps any. The moments of batch normalisation are
    computed again for them. After the block, all weights and moments are restored.

    Args:
        network: The compiled model.
        batches: As for ``calibrate``.
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
    """Sets the moving means and variances of trainable layers to the means over given batches.

    Training leaves moments of the last few steps' weights and of crops. Averaged weights need
    moments of their own (Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima", section
    3.2), and so do whole photos of another size (Touvron et al. 2019, "Fixing the train-test
    resolution discrepancy").

    Args:
        network: A model, changed in place.
        batches: Images (N, S, S, 3), any dtype, in the range that the network takes; at least one
            batch.
    """
    layers = [
        layer
        for layer in network.layers
        # Frozen layers keep their moments during training, too.
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
