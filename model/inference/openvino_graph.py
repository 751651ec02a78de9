"""OpenVINO's graph of a network, made of a list of its layers and its weights file, without Keras.

It computes what the Keras network does, with batch normalisation folded into the convolutions.
Layout is NCHW.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import h5py
import numpy as np

from model.inference.openvino_alone import op, ov

_NO_PADDING = [0, 0]


def graph_of_layers(layers: Sequence[dict], weights: str | Path, size: int) -> ov.Model:
    """Builds the graph.

    Args:
        layers: What ``layer_list`` says of the network.
        weights: The ``.weights.h5`` file that Keras wrote of it.
        size: Side S of the images, in pixels.

    Returns:
        A graph from pixels, uint8 (1, S, S, 3), to the map, float32 (1, 1, S, S).

    Raises:
        KeyError: A weight is not in the file.
        ValueError: A weight has another shape.
        OSError: The file is not readable as HDF5.
    """
    pixels = pixels_of(size)
    image = op.transpose(op.convert(pixels, "f32"), np.array([0, 3, 1, 2]))
    outputs: list[ov.Node] = []
    with h5py.File(weights) as file:

        def weight(name: str) -> np.ndarray:
            # HDF5 itself takes long to convert numbers.
            return file[name][()].astype(np.float64)

        for layer in layers:
            inputs = [image if number < 0 else outputs[number] for number in layer["inputs"]]
            outputs.append(_KINDS[layer["kind"]](layer, inputs, weight))
    return ov.Model([outputs[-1]], [pixels])


def pixels_of(size: int) -> ov.Node:
    """The input of a graph: uint8 (1, S, S, 3).

    Args:
        size: Side S of the images, in pixels.
    """
    return op.parameter([1, size, size, 3], np.uint8)


def _convolution(layer: dict, inputs: list, weight: Callable[[str], np.ndarray]) -> ov.Node:
    # Keras: (height, width, in, out); of a depthwise one (height, width, channels, 1).
    kernel, *bias = map(weight, layer["weights"])
    depthwise = layer["kind"] == "DepthwiseConv2D"
    kernel = kernel.transpose((2, 3, 0, 1) if depthwise else (3, 2, 0, 1))
    shift = bias[0] if bias else np.zeros(len(kernel))
    if "norm" in layer:
        gamma, beta, mean, variance = map(weight, layer["norm"])
        scale = gamma / np.sqrt(variance + layer["epsilon"])
        kernel = kernel * scale[:, None, None, None]
        shift = beta + (shift - mean) * scale
    convolve = op.convolution
    if depthwise:
        kernel, convolve = kernel[:, None], op.group_convolution
    padding, strides, dilation = _NO_PADDING, layer["strides"], layer["dilation_rate"]
    kernel = _constant(kernel)
    convolved = convolve(inputs[0], kernel, strides, padding, padding, dilation, "same_upper")
    return op.add(convolved, _constant(shift.reshape(1, -1, 1, 1)))


def _constant(values: np.ndarray) -> ov.Node:
    # Of arrays, the functions of an opset make lists first.
    return ov.op.Constant(np.ascontiguousarray(values, np.float32))


def _rescaling(layer: dict, inputs: list, _) -> ov.Node:
    scaled = op.multiply(inputs[0], np.float32(layer["scale"]))
    return op.add(scaled, np.float32(layer["offset"]))


def _relu(layer: dict, inputs: list, _) -> ov.Node:
    most = layer["max_value"]
    return op.relu(inputs[0]) if most is None else op.clamp(inputs[0], 0.0, float(most))


def _upsampling(layer: dict, inputs: list, _) -> ov.Node:
    return op.interpolate(
        inputs[0],
        np.array(layer["size"], np.float32),
        "linear_onnx",  # Bilinear, of two axes.
        "scales",
        axes=np.array([2, 3]),
        coordinate_transformation_mode="half_pixel",
    )


def _max_pooling(layer: dict, inputs: list, _) -> ov.Node:
    padding = _NO_PADDING
    pooled = op.max_pool(inputs[0], layer["strides"], [1, 1], padding, padding, layer["pool_size"])
    return pooled.output(0)


_KINDS = {
    "Conv2D": _convolution,
    "DepthwiseConv2D": _convolution,
    "Rescaling": _rescaling,
    "ReLU": _relu,
    "Add": lambda layer, inputs, _: op.add(*inputs),
    "Concatenate": lambda layer, inputs, _: op.concat(inputs, 1),
    "UpSampling2D": _upsampling,
    "MaxPooling2D": _max_pooling,
    "Activation": lambda layer, inputs, _: op.sigmoid(inputs[0]),
}
