"""Published weights in, a ``BASNet`` out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import keras
import numpy as np

from model.basnet import BASNet

# The authors' names of what a layer holds, in the order of Keras' layer.weights.
_CONV_PARTS = ("weight", "bias")
_NORM_PARTS = ("weight", "bias", "running_mean", "running_var")

# Names of our layers, and what the authors call them.
_PAPER_NAMES = [
    (r"stem_(conv|bn)", r"in\1"),
    (
        r"encoder([1-4])_block(\d)_(conv|bn)(\d)",
        lambda m: f"encoder{m[1]}.{_less(m[2])}.{m[3]}{m[4]}",
    ),
    (
        r"encoder([1-4])_block(\d)_shortcut_conv",
        lambda m: f"encoder{m[1]}.{_less(m[2])}.downsample.0",
    ),
    (
        r"encoder([1-4])_block(\d)_shortcut_bn",
        lambda m: f"encoder{m[1]}.{_less(m[2])}.downsample.1",
    ),
    (r"encoder([56])_block(\d)_(conv|bn)(\d)", r"resb\1_\2.\3\4"),
    (r"bridge_(conv|bn)(\d)", lambda m: f"{m[1]}bg_{_place(m[2])}"),
    (r"decoder(\d)_(conv|bn)(\d)", lambda m: f"{m[2]}{m[1]}d_{_place(m[3])}"),
    (r"side(\d)_head_conv", r"outconv\1"),
    (r"bridge_head_conv", r"outconvb"),
    (r"refine_stem_conv", r"refunet.conv0"),
    (r"refine_encoder(\d)_(conv|bn)", r"refunet.\2\1"),
    (r"refine_bridge_(conv|bn)", r"refunet.\g<1>5"),
    (r"refine_decoder(\d)_(conv|bn)", r"refunet.\2_d\1"),
    (r"refined_head_conv", r"refunet.conv_d0"),
]

# These follow a concatenation, where the authors put the decoder's features before the encoder's.
_AFTER_CONCATENATION = re.compile(r"decoder\d_conv1|refine_decoder\d_conv")


def from_keras_cv(weights: Sequence[np.ndarray]) -> BASNet:
    """Builds KerasCV's BASNet with the given weights.

    Args:
        weights: Arrays in the order of ``keras.Model(model.input, model.outputs).weights`` of a
            ``keras_cv.models.BASNet`` with a ResNet-18 or ResNet-34 backbone: float, kernels
            (height, width, in, out). Their number tells the backbone, the last one, a bias, the
            number of classes.

    Returns:
        The network, without rescaling of its input, for images of any size.

    Raises:
        ValueError: The number of arrays or a shape is not that of such a network.
    """
    backbones = {355: "resnet18", 435: "resnet34"}
    if len(weights) not in backbones:
        counts = " or ".join(f"{count} weights ({name})" for count, name in backbones.items())
        raise ValueError(f"a KerasCV BASNet has {counts}; got {len(weights)}")
    model = BASNet.from_preset(backbones[len(weights)], num_classes=np.size(weights[-1]))
    # A model of the graph alone leaves out the stem of the ResNet, which BASNet does not use.
    variables = keras.Model(model.input, model.outputs).weights
    for variable, array in zip(variables, weights, strict=True):
        _assign(variable, np.asarray(array), variable.path)
    return model


def from_paper(state: Mapping[str, np.ndarray]) -> BASNet:
    """Builds the network of the paper's authors with the weights of their checkpoint.

    Args:
        state: The authors' names to arrays, as in their ``basnet.pth``: float, kernels
            (out, in, height, width).

    Returns:
        The network, without rescaling of its input, for images of any size.

    Raises:
        ValueError: An entry is missing, left over or of another shape; the message names it.
    """
    model = BASNet.from_preset("basnet_paper")
    unused = {name for name in state if not name.endswith("num_batches_tracked")}
    for layer in _layers_with_weights(model):
        parts = _CONV_PARTS if isinstance(layer, keras.layers.Conv2D) else _NORM_PARTS
        for variable, part in zip(layer.weights, parts, strict=False):
            name = f"{_paper_name(layer.name)}.{part}"
            if name not in state:
                raise ValueError(f"the weights lack the entry {name}")
            unused.discard(name)
            array = np.asarray(state[name])
            if array.ndim == 4:
                array = array.transpose(2, 3, 1, 0)
                if _AFTER_CONCATENATION.fullmatch(layer.name):
                    array = np.roll(array, array.shape[2] // 2, axis=2)
            _assign(variable, array, name)
    if unused:
        raise ValueError(f"the weights have entries that BASNet lacks: {', '.join(sorted(unused))}")
    return model


def _layers_with_weights(model: keras.Model) -> list[keras.layers.Layer]:
    flat = []
    for layer in model.layers:
        if isinstance(layer, keras.Sequential):
            flat += layer.layers
        elif not isinstance(layer, keras.Model):
            flat.append(layer)
    return [layer for layer in flat if layer.weights]


def _paper_name(name: str) -> str:
    for pattern, replacement in _PAPER_NAMES:
        if match := re.fullmatch(pattern, name):
            return replacement(match) if callable(replacement) else match.expand(replacement)
    raise KeyError(name)


def _less(number: str) -> int:
    return int(number) - 1


def _place(number: str) -> str:
    return {"1": "1", "2": "m", "3": "2"}[number]


def _assign(variable: keras.Variable, array: np.ndarray, name: str) -> None:
    if array.shape != tuple(variable.shape):
        raise ValueError(f"{name} has shape {array.shape}; BASNet needs {tuple(variable.shape)}")
    variable.assign(array)
