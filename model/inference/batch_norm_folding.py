"""Networks for inference: batch normalisation inside the convolutions, one precision for weights.

At inference batch normalisation scales and shifts each channel by constants. Where it follows a
convolution directly, the convolution's kernel and bias can hold them. Where a convolution follows
upsampling, both can be one layer of less work.
"""

from __future__ import annotations

from collections import Counter

import keras
import numpy as np
from keras import layers

from model.inference.layer_graph import Call, calls, graph_of, is_graph, last
from model.inference.upsampled_convolution import UpsampledConv2D

# Their weights are nearly all of a network's, and are stored in its precision. Those of other
# layers are few, and moments and scales need all their bits.
_STORED = (
    layers.Conv2D,
    layers.Conv2DTranspose,
    layers.Dense,
    layers.DepthwiseConv2D,
    layers.SeparableConv2D,
)
# Differences between pixels are small against the pixels, and would lose their last bits.
# TensorFlow interpolates to float32 whatever it is given; asked for another type, Keras clips, too.
_IN_FLOAT32 = (layers.Rescaling, layers.Normalization, layers.UpSampling2D)
# Layers of other policies, such as int8, are left as they are.
_POLICIES = ("float32", "bfloat16", "float16", "mixed_bfloat16", "mixed_float16")


def folded(model: keras.Model, batch_shape: tuple[int, ...], dtype: str = "float32") -> keras.Model:
    """Rebuilds a network for inference on batches of one shape.

    A ``BatchNormalization`` is folded into the ``Conv2D`` or ``DepthwiseConv2D`` before it if
    nothing else uses what that gives; all others stay. So it is in nested models of one input and
    one output; other nested models are computed as they were. Wide features that are upsampled for
    a convolution are left small, and an ``UpsampledConv2D`` takes them.

    Args:
        model: A functional model of one input and one output; it is not changed.
        batch_shape: Shape of the inputs, (N, H, W, C).
        dtype: What to compute in, ``"float32"``, ``"bfloat16"`` or ``"float16"``. Kernels are
            stored in it, folded before they are rounded. Layers that scale pixels and the last
            one compute in float32 always.

    Returns:
        A model with weights of its own, from numbers of any type in (N, H, W, C).

    Raises:
        ValueError: A layer does not take batches of this shape.
    """
    return _Rebuilding(model, dtype).rebuild(model, batch_shape, "float32")


class _Rebuilding:
    def __init__(self, model: keras.Model, dtype: str):
        self.dtype = dtype
        self.last = last(model)
        every = list(calls(model))
        pairs = _pairs(every)
        self.folded = {id(norm) for _, norm in pairs}
        self.norm_of = {id(conv): norm for conv, norm in pairs}
        self.upsamplings = _upsamplings(every)
        # What is not upsampled, by the ids of the concatenation and convolution that follow.
        self.below: dict[int, keras.KerasTensor] = {}
        # By the id of the original: a layer that is called twice stays one.
        self.clones: dict[int, keras.Operation] = {}

    def rebuild(self, model: keras.Model, batch_shape: tuple, dtype: str) -> keras.Model:
        inputs = keras.Input(batch_shape=batch_shape, dtype=dtype)
        # An operation is cloned when it is called, not before.
        return keras.models.clone_model(
            graph_of(model), inputs, clone_function=lambda op: op, call_function=self.call
        )

    def call(self, operation: keras.Operation, *args, **kwargs):
        if id(operation) in self.folded:
            return args[0]
        if operation is self.last:
            args, kwargs = keras.tree.map_structure(_to_float32, (args, kwargs))
        if id(operation) in self.upsamplings and _pays(args[0].shape):
            for user in self.upsamplings[id(operation)]:
                self.below[id(user)] = args[0]
            return args[0]
        below = self.below.get(id(operation))
        if below is not None:
            if isinstance(operation, layers.Concatenate):
                return args[0][0]
            args = ([args[0], below],)
        if is_graph(operation):
            return self.rebuild(operation, args[0].shape, args[0].dtype)(*args, **kwargs)
        if id(operation) in self.clones:
            return self.clones[id(operation)](*args, **kwargs)
        clone = self.clones[id(operation)] = self.clone(operation)
        outputs = clone(*args, **kwargs)
        if isinstance(clone, layers.Layer):
            weights = _weights(operation, self.norm_of.get(id(operation)))
            is_new = isinstance(clone, UpsampledConv2D)
            clone.set_conv_weights(*weights) if is_new else clone.set_weights(weights)
        if isinstance(clone, layers.Normalization):
            clone.finalize_state()  # It computes with what it derives from its weights.
        return outputs

    def clone(self, operation: keras.Operation) -> keras.Operation:
        if id(operation) in self.below:
            policy = self.policy(operation)
            return UpsampledConv2D(operation.filters, name=operation.name, dtype=policy)
        config = operation.get_config()
        if "dtype" in config and operation.dtype_policy.name in _POLICIES:
            config["dtype"] = self.policy(operation)
        if isinstance(operation, _STORED) and "kernel_initializer" in config:
            config["kernel_initializer"] = "zeros"  # Random numbers would only take time.
        if id(operation) in self.norm_of:
            config["use_bias"] = True
        return type(operation).from_config(config)

    def policy(self, layer: layers.Layer) -> str:
        if self.dtype == "float32" or layer is self.last or isinstance(layer, _IN_FLOAT32):
            return "float32"
        return self.dtype if isinstance(layer, _STORED) else f"mixed_{self.dtype}"


def _weights(layer: layers.Layer, norm: layers.BatchNormalization | None) -> list[np.ndarray]:
    """The weights of a layer's clone, which normalises, too, if ``norm`` is given."""
    if norm is None:
        return layer.get_weights()

    def value(variable) -> np.ndarray:
        return keras.ops.convert_to_numpy(variable).astype(np.float64)

    scale = 1 / np.sqrt(value(norm.moving_variance) + norm.epsilon)
    if norm.scale:
        scale *= value(norm.gamma)
    bias = (value(layer.bias) if layer.use_bias else 0) - value(norm.moving_mean)
    bias *= scale
    if norm.center:
        bias += value(norm.beta)
    kernel = value(layer.kernel)
    # A depthwise kernel's last two axes together are the channels that it gives.
    axes = 2 if isinstance(layer, layers.DepthwiseConv2D) else 1
    return [kernel * scale.reshape(kernel.shape[-axes:]), bias]


def _pairs(every: list[Call]) -> list[tuple[layers.Layer, layers.BatchNormalization]]:
    """Convolutions, and the normalisation that can be folded into each."""
    called, used = _counts(every)
    return [
        (sources[0], norm)
        for norm, sources, plain in every
        if plain
        and _fit(sources[0], norm)
        and called[id(norm)] == called[id(sources[0])] == 1
        and used[id(sources[0])] == 1
    ]


def _counts(every: list[Call]) -> tuple[Counter, Counter]:
    """How often an operation, by its id, is called, and what it gives is used."""
    called = Counter(id(call.operation) for call in every)
    return called, Counter(id(source) for call in every for source in call.sources)


def _fit(conv: keras.Operation, norm: keras.Operation) -> bool:
    return (
        type(norm) is layers.BatchNormalization
        and norm.axis in (-1, 3)
        and norm.dtype_policy.name in _POLICIES
        and _is_linear(conv)
    )


def _is_linear(conv: keras.Operation) -> bool:
    return (
        # A subclass may compute something else.
        type(conv) in (layers.Conv2D, layers.DepthwiseConv2D)
        and conv.data_format == "channels_last"
        and conv.activation is keras.activations.linear
        # One that is being fine-tuned by LoRA has more.
        and len(conv.weights) == 1 + conv.use_bias
        and conv.dtype_policy.name in _POLICIES
    )


def _upsamplings(every: list[Call]) -> dict[int, tuple[layers.Layer, layers.Layer]]:
    """Ids of upsamplings to the concatenation and the convolution that can take them over."""
    call_of = {id(call.operation): call for call in every}
    called, used = _counts(every)
    found = {}
    for conv, sources, plain in every:
        joined = call_of.get(id(sources[0]))
        if not (plain and _is_3x3(conv) and joined and _joins_channels(joined)):
            continue
        upsampling, joining = joined.sources[1], joined.operation
        if (
            _doubles(upsampling)
            and called[id(upsampling)] == called[id(joining)] == called[id(conv)] == 1
            and used[id(upsampling)] == used[id(joining)] == 1
        ):
            found[id(upsampling)] = (joining, conv)
    return found


def _is_3x3(conv: keras.Operation) -> bool:
    return (
        _is_linear(conv)
        and type(conv) is layers.Conv2D
        and (conv.kernel_size, conv.padding, conv.groups) == ((3, 3), "same", 1)
        and conv.strides == conv.dilation_rate == (1, 1)
    )


def _joins_channels(call: Call) -> bool:
    joining = call.operation
    return (
        type(joining) is layers.Concatenate and joining.axis in (-1, 3) and len(call.sources) == 2
    )


def _doubles(upsampling: keras.Operation) -> bool:
    return (
        type(upsampling) is layers.UpSampling2D
        and upsampling.data_format == "channels_last"
        and (upsampling.size, upsampling.interpolation) == ((2, 2), "bilinear")
    )


def _pays(shape: tuple[int | None, ...]) -> bool:
    """Whether features are wide enough for `UpsampledConv2D`, whose matrices grow with the sides.

    In TensorFlow on a processor, it takes 0.55 of the time at 512 channels of 144 x 144, 0.4 of
    72 x 72, and 0.9 at 128 of 64 x 64.
    """
    _, height, width, channels = shape
    return None not in shape[1:] and 3 * max(height, width) <= channels


def _to_float32(value):
    return keras.ops.cast(value, "float32") if isinstance(value, keras.KerasTensor) else value
