"""Networks for inference: batch normalisation inside the convolutions, one precision for weights.

At inference batch normalisation scales and shifts each channel by constants. Where it follows a
convolution directly, the convolution's kernel and bias can hold them.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import keras
import numpy as np
from keras import layers

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
    one output; other nested models are computed as they were.

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


class _Call(NamedTuple):
    operation: keras.Operation | None
    sources: list[keras.Operation]
    plain: bool  # On a tensor alone, with nothing else asked for.


class _Rebuilding:
    def __init__(self, model: keras.Model, dtype: str):
        self.dtype = dtype
        self.last = _last(model)
        pairs = _pairs(model)
        self.folded = {id(norm) for _, norm in pairs}
        self.norm_of = {id(conv): norm for conv, norm in pairs}
        # By the id of the original: a layer that is called twice stays one.
        self.clones: dict[int, keras.Operation] = {}

    def rebuild(self, model: keras.Model, batch_shape: tuple, dtype: str) -> keras.Model:
        inputs = keras.Input(batch_shape=batch_shape, dtype=dtype)
        # An operation is cloned when it is called, not before.
        return keras.models.clone_model(
            _graph(model), inputs, clone_function=lambda op: op, call_function=self.call
        )

    def call(self, operation: keras.Operation, *args, **kwargs):
        if id(operation) in self.folded:
            return args[0]
        if operation is self.last:
            args, kwargs = keras.tree.map_structure(_to_float32, (args, kwargs))
        if _is_graph(operation):
            return self.rebuild(operation, args[0].shape, args[0].dtype)(*args, **kwargs)
        if id(operation) in self.clones:
            return self.clones[id(operation)](*args, **kwargs)
        clone = self.clones[id(operation)] = self.clone(operation)
        outputs = clone(*args, **kwargs)
        if isinstance(clone, layers.Layer):
            clone.set_weights(_weights(operation, self.norm_of.get(id(operation))))
        if isinstance(clone, layers.Normalization):
            clone.finalize_state()  # It computes with what it derives from its weights.
        return outputs

    def clone(self, operation: keras.Operation) -> keras.Operation:
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


def _pairs(model: keras.Model) -> list[tuple[layers.Layer, layers.BatchNormalization]]:
    """Convolutions, and the normalisation that can be folded into each."""
    calls = list(_calls(model))
    called = Counter(id(call.operation) for call in calls)
    used = Counter(id(source) for call in calls for source in call.sources)
    return [
        (call.sources[0], call.operation)
        for call in calls
        if call.plain
        and _fit(call.sources[0], call.operation)
        and called[id(call.operation)] == called[id(call.sources[0])] == 1
        and used[id(call.sources[0])] == 1
    ]


def _fit(conv: keras.Operation, norm: keras.Operation) -> bool:
    # A subclass may compute something else.
    return (
        type(norm) is layers.BatchNormalization
        and type(conv) in (layers.Conv2D, layers.DepthwiseConv2D)
        and conv.data_format == "channels_last"
        and norm.axis in (-1, 3)
        and conv.activation is keras.activations.linear
        # One that is being fine-tuned by LoRA has more.
        and len(conv.weights) == 1 + conv.use_bias
        and {conv.dtype_policy.name, norm.dtype_policy.name} <= set(_POLICIES)
    )


def _calls(model: keras.Model) -> Iterator[_Call]:
    """All calls in a graph and those nested in it; last, its output, of no operation."""
    graph = _graph(model)
    operations = {operation.name: operation for operation in graph.operations}
    # The nodes themselves are no part of Keras' interface; how a model is saved is.
    config = graph.get_config()
    for entry in config["layers"]:
        operation = operations[entry["name"]]
        for node in entry["inbound_nodes"]:
            sources = [operations[name] for name in _sources(node)]
            given = [x for x in node["kwargs"].values() if x is not None and x is not False]
            plain = len(node["args"]) == 1 == len(sources) and not given
            # What is called in another way, as in training, is left alone with all that is in it.
            if plain and _is_graph(operation):
                yield from _calls(operation)
            yield _Call(operation, sources, plain)
    yield _Call(None, [operations[config["output_layers"][0]]], plain=False)


def _sources(node) -> Iterator[str]:
    """The names of the operations whose tensors are among the arguments of a saved call."""
    if isinstance(node, list | tuple):
        for part in node:
            yield from _sources(part)
    elif isinstance(node, dict):
        if node.get("class_name") == "__keras_tensor__":
            yield node["config"]["keras_history"][0]
        else:
            yield from _sources(list(node.values()))


def _last(model: keras.Model) -> keras.Operation:
    """What gives the output, in the innermost graph."""
    *_, output = _calls(model)
    return _last(output.sources[0]) if _is_graph(output.sources[0]) else output.sources[0]


def _is_graph(operation: keras.Operation) -> bool:
    """Whether it is a model of one input and one output that can be rebuilt."""
    return (
        isinstance(operation, keras.Model)
        and len(getattr(operation, "inputs", None) or ()) == 1 == len(operation.outputs)
        # A subclass may compute something else.
        and type(operation).call in (_functional().call, keras.Sequential.call)
    )


@functools.cache
def _functional() -> type[keras.Model]:
    """Keras' class of functional models, which has no public name."""
    inputs = keras.Input((1,))
    return type(keras.Model(inputs, inputs))


def _graph(model: keras.Model) -> keras.Model:
    return keras.Model(model.inputs[0], model.outputs[0])


def _to_float32(value):
    return keras.ops.cast(value, "float32") if isinstance(value, keras.KerasTensor) else value
