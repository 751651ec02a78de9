"""Batch normalisation folded into the convolutions before it, in one precision for all kernels.

At inference batch normalisation multiplies each channel by a constant and adds another one. If it
follows a convolution directly, the kernel and the bias of the convolution can hold both.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from keras import layers

from model.inference.layer_graph import Call, Copies, calls, count_calls, last, rebuilt

# Layers whose weights are stored in the precision of the network. They hold nearly all weights;
# the moments and scales of other layers need the digits of float32.
_STORED = (
    layers.Conv2D,
    layers.Conv2DTranspose,
    layers.Dense,
    layers.DepthwiseConv2D,
    layers.SeparableConv2D,
)
# Layers that always compute in float32. Scaled pixels would lose the digits that tell them apart.
# TensorFlow's bilinear upsampling returns float32 anyway; for other types Keras also clips it.
_IN_FLOAT32 = (layers.Rescaling, layers.Normalization, layers.UpSampling2D)
# Policies that folding can replace. Layers of others, such as int8, are kept as they are.
_POLICIES = ("float32", "bfloat16", "float16", "mixed_bfloat16", "mixed_float16")


def fold_batch_norm(
    model: keras.Model, batch_shape: tuple[int | None, ...], dtype: str = "float32"
) -> keras.Model:
    """Builds a network again for inference, without the batch normalisation that can be folded.

    A ``BatchNormalization`` is folded if it directly follows a ``Conv2D`` or ``DepthwiseConv2D``
    whose output nothing else uses. Nested models of one input and one output are folded too, others
    are kept.

    Args:
        model: A functional model of one input and one output; it is not changed.
        batch_shape: Shape of the inputs, (N, H, W, C); N may be None.
        dtype: What to compute in, ``"float32"``, ``"bfloat16"`` or ``"float16"``. Kernels are
            folded first and then rounded to it. Layers that scale pixels, bilinear upsampling and
            the last operation compute in float32 always.

    Returns:
        A model with weights of its own, which takes float32 inputs.

    Raises:
        ValueError: A layer does not take batches of this shape.
    """
    norm_of = foldable(list(calls(model)))
    folded = {id(norm) for norm in norm_of.values()}
    output = last(model)
    copies = Copies()

    def call(operation: keras.Operation, *args, **kwargs):
        if id(operation) in folded:
            return args[0]
        if operation is output:
            args, kwargs = keras.tree.map_structure(_to_float32, (args, kwargs))
        config = operation.get_config()
        if "dtype" in config and operation.dtype_policy.name in _POLICIES:
            config["dtype"] = "float32" if operation is output else _policy(operation, dtype)
        if isinstance(operation, _STORED) and "kernel_initializer" in config:
            config["kernel_initializer"] = "zeros"  # Random numbers would only take time.
        weights, norm = None, norm_of.get(id(operation))
        if norm is not None:
            config["use_bias"] = True
            weights = _folded_weights(operation, norm)
        return copies.call(operation, args, kwargs, config, weights)

    return rebuilt(model, batch_shape, "float32", call)


def is_linear_convolution(operation: keras.Operation) -> bool:
    """Returns whether an operation is a plain 2-D convolution, with or without a bias.

    Args:
        operation: Any operation. Subclasses, which may compute something else, are not plain.
    """
    return (
        type(operation) in (layers.Conv2D, layers.DepthwiseConv2D)
        and operation.data_format == "channels_last"
        and operation.activation is keras.activations.linear
        # One that is being fine-tuned by LoRA has more weights.
        and len(operation.weights) == 1 + operation.use_bias
        and operation.dtype_policy.name in _POLICIES
    )


def foldable(every: Sequence[Call]) -> dict[int, layers.BatchNormalization]:
    """Maps ids of convolutions to the batch normalisation that each can hold.

    Args:
        every: All calls of a graph.
    """
    called, used = count_calls(every)
    return {
        id(sources[0]): norm
        for norm, sources, plain in every
        if plain
        and _is_batch_norm(norm)
        and is_linear_convolution(sources[0])
        and called[id(norm)] == called[id(sources[0])] == 1
        and used[id(sources[0])] == 1
    }


def _is_batch_norm(operation: keras.Operation) -> bool:
    return (
        type(operation) is layers.BatchNormalization
        and operation.axis in (-1, 3)
        and operation.dtype_policy.name in _POLICIES
    )


def _folded_weights(conv: layers.Layer, norm: layers.BatchNormalization) -> list[np.ndarray]:
    """Kernel and bias, float64, of the convolution that also normalises."""

    def value(variable) -> np.ndarray:
        return keras.ops.convert_to_numpy(variable).astype(np.float64)

    scale = 1 / np.sqrt(value(norm.moving_variance) + norm.epsilon)
    if norm.scale:
        scale *= value(norm.gamma)
    bias = (value(conv.bias) if conv.use_bias else 0) - value(norm.moving_mean)
    bias *= scale
    if norm.center:
        bias += value(norm.beta)
    kernel = value(conv.kernel)
    # The output channels of a depthwise kernel are its last two axes together.
    axes = 2 if isinstance(conv, layers.DepthwiseConv2D) else 1
    return [kernel * scale.reshape(kernel.shape[-axes:]), bias]


def _policy(layer: layers.Layer, dtype: str) -> str:
    if dtype == "float32" or isinstance(layer, _IN_FLOAT32):
        return "float32"
    return dtype if isinstance(layer, _STORED) else f"mixed_{dtype}"


def _to_float32(value):
    return keras.ops.cast(value, "float32") if isinstance(value, keras.KerasTensor) else value
