"""OpenVINO's graph of an ONNX file, from the pixels that its card describes to the map."""

from __future__ import annotations

import math

import numpy as np

from model.inference.error_line import one_line
from model.inference.onnx_card import LARGEST, Card, card_of, read_card
from model.inference.openvino_alone import op, ov
from model.inference.openvino_graph import pixels_of


def graph_of_onnx(path: str, size: int) -> ov.Model:
    """Reads a network and its card.

    Args:
        path: An ``.onnx`` file on this machine, with its card beside it.
        size: Side S of the images, in pixels: that of the card.

    Returns:
        A graph from pixels, uint8 (1, S, S, 3), to the map, S x S numbers of float32. They are the
        network's, and not stretched to their own least and largest.

    Raises:
        ValueError: The card or the network cannot be used. The message is one line.
        OSError: A file cannot be read.
    """
    card = read_card(card_of(path))
    if size != card.size:
        raise ValueError(f"its card says size {card.size}; images are {size} x {size}")
    try:
        network = ov.Core().read_model(path)
    except RuntimeError as error:
        raise ValueError(f"OpenVINO does not read it: {one_line(error)}") from error
    if len(network.inputs) != 1:
        names = ", ".join(node.any_name for node in network.inputs)
        raise ValueError(f"it has the inputs {names}; a network of one would do")
    shape = [1, 3, size, size] if card.layout == "NCHW" else [1, size, size, 3]
    try:
        network.reshape(shape)
    except RuntimeError as error:
        raise ValueError(
            f"it takes {network.inputs[0].partial_shape} and not {shape}, as its card says by size "
            "and layout"
        ) from error
    found = _output(network, card)
    pixels = pixels_of(size)
    for user in network.inputs[0].get_target_inputs():
        user.replace_source_output(_scaled(pixels, card).output(0))
    result = op.convert(found, "f32")
    return ov.Model([op.sigmoid(result) if card.logits else result], [pixels])


def _output(network: ov.Model, card: Card) -> ov.Output:
    """What computes the map."""
    results = {index: node for index, node in enumerate(network.outputs)}
    named = {name: node for node in network.outputs for name in node.names}
    result = (named if isinstance(card.output, str) else results).get(card.output)
    if result is None:
        known = ", ".join(f"{n} {node.any_name!r}" for n, node in results.items())
        raise ValueError(f"it has no output {card.output!r}, as its card says; there are {known}")
    shape = result.partial_shape
    if shape.is_dynamic or math.prod(shape.to_shape()) != card.size**2:
        side = f"{card.size} x {card.size}"
        raise ValueError(f"its output {card.output!r} is {shape}; a map would have {side} numbers")
    return result.node.input_value(0)


def _scaled(pixels: ov.Node, card: Card) -> ov.Node:
    values = op.convert(pixels, "f32")
    divisor = np.float32(1)
    if card.divisor != LARGEST:
        divisor = np.float32(card.divisor)
    else:
        # Of a black image, 1 in place of 0.
        axes = np.array([1, 2, 3])
        divisor = op.maximum(op.reduce_max(values, axes, keep_dims=True), divisor)
    mean, scale = np.float32(card.mean), np.float32(card.scale)
    values = op.divide(op.subtract(op.divide(values, divisor), mean), scale)
    return op.transpose(values, np.array([0, 3, 1, 2])) if card.layout == "NCHW" else values
