"""A small network as an ONNX file, and its card."""

import json

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE = 32
CARD = {
    "size": SIZE,
    "mean": [0.4, 0.5, 0.6],
    "scale": [0.2, 0.3, 0.4],
    "layout": "NCHW",
    "output": "map",
}
KERNEL = np.random.default_rng(1).normal(0, 0.3, (1, 3, 1, 1)).astype(np.float32)
BIAS = np.array([0.2], np.float32)


def write_onnx(path, shape=(1, 3, SIZE, SIZE), card=CARD):
    """Writes a network of one 1x1 convolution: logits, the map, and a smaller one."""
    nodes = [
        helper.make_node("Conv", ["x", "kernel", "bias"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["map"]),
        helper.make_node("MaxPool", ["map"], ["small"], kernel_shape=[2, 2], strides=[2, 2]),
    ]
    batch, _, *sides = shape
    half = [side // 2 if isinstance(side, int) else None for side in sides]
    outputs = {"logits": sides, "map": sides, "small": half}
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, 1, *found])
            for name, found in outputs.items()
        ],
        [numpy_helper.from_array(KERNEL, "kernel"), numpy_helper.from_array(BIAS, "bias")],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    path.with_suffix(".json").write_text(json.dumps(card))


def expected(images, divisor=255.0):
    """The maps of images, uint8 (N, S, S, 3), by NumPy in float64."""
    values = (images / divisor - CARD["mean"]) / CARD["scale"]
    return 1 / (1 + np.exp(-(values @ KERNEL[0, :, 0, 0].astype(np.float64) + BIAS[0])))
