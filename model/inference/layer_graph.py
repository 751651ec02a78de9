"""The graph of a functional network: what calls what, and how to build it again with changes.

Nested models are part of the graph if they have one input and one output.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import keras
import numpy as np
from keras import layers


class Call(NamedTuple):
    """One call of an operation in a graph.

    Attributes:
        operation: The operation that is called; None stands for the output of the network.
        sources: The operations whose outputs are its arguments.
        plain: Whether it has one argument, from one source, and no keyword arguments.
    """

    operation: keras.Operation | None
    sources: list[keras.Operation]
    plain: bool


def calls(model: keras.Model) -> Iterator[Call]:
    """Yields all calls in a graph and in its nested models, and last one for its output.

    Args:
        model: A functional model; only its first input and first output count.
    """
    graph = graph_of(model)
    operations = {operation.name: operation for operation in graph.operations}
    # Keras has no public access to the nodes of a graph; a saved configuration holds them.
    config = graph.get_config()
    for entry in config["layers"]:
        operation = operations[entry["name"]]
        for node in entry["inbound_nodes"]:
            sources = [operations[name] for name in _sources(node)]
            given = [x for x in node["kwargs"].values() if x is not None and x is not False]
            plain = len(node["args"]) == 1 == len(sources) and not given
            # A nested model that is called otherwise, as with training=True, is kept whole.
            if plain and is_graph(operation):
                yield from calls(operation)
            yield Call(operation, sources, plain)
    yield Call(None, [operations[config["output_layers"][0]]], plain=False)


def _sources(node) -> Iterator[str]:
    """Yields the names of the operations that the arguments of a saved call come from."""
    if isinstance(node, list | tuple):
        for part in node:
            yield from _sources(part)
    elif isinstance(node, dict):
        if node.get("class_name") == "__keras_tensor__":
            yield node["config"]["keras_history"][0]
        else:
            yield from _sources(list(node.values()))


def count_calls(every: Sequence[Call]) -> tuple[Counter, Counter]:
    """Counts by operation id how often each is called and how often its output is used.

    Args:
        every: All calls of a graph.
    """
    called = Counter(id(call.operation) for call in every)
    return called, Counter(id(source) for call in every for source in call.sources)


def last(model: keras.Model) -> keras.Operation:
    """Returns the operation that computes the output; inside a nested model if it ends with one.

    Args:
        model: A functional model.
    """
    *_, output = calls(model)
    return last(output.sources[0]) if is_graph(output.sources[0]) else output.sources[0]


def is_graph(operation: keras.Operation) -> bool:
    """Returns whether an operation is a functional model of one input and one output.

    Args:
        operation: Any operation.
    """
    return (
        isinstance(operation, keras.Model)
        and len(getattr(operation, "inputs", None) or ()) == 1 == len(operation.outputs)
        # A subclass may compute something else.
        and type(operation).call in (_functional().call, keras.Sequential.call)
    )


@functools.cache
def _functional() -> type[keras.Model]:
    """Returns Keras' class of functional models, which has no public name."""
    inputs = keras.Input((1,))
    return type(keras.Model(inputs, inputs))


def graph_of(model: keras.Model) -> keras.Model:
    """Returns a functional model of the same layers, from the first input to the first output.

    Args:
        model: A functional model.
    """
    return keras.Model(model.inputs[0], model.outputs[0])


def rebuilt(
    model: keras.Model, batch_shape: tuple[int | None, ...], dtype: str, call: Callable
) -> keras.Model:
    """Builds a graph again, with every call replaced by what a function returns for it.

    Args:
        model: A functional model; only its first input and first output count.
        batch_shape: Shape of the new input, (N, H, W, C).
        dtype: Dtype of the new input.
        call: Gets an operation and the arguments of one call, ``(operation, *args, **kwargs)``,
            and returns the output. Nested models are rebuilt, not passed to it.

    Returns:
        The new model.
    """

    def visit(operation: keras.Operation, *args, **kwargs):
        if not is_graph(operation):
            return call(operation, *args, **kwargs)
        return rebuilt(operation, args[0].shape, args[0].dtype, call)(*args, **kwargs)

    inputs = keras.Input(batch_shape=batch_shape, dtype=dtype)
    return keras.models.clone_model(
        graph_of(model), inputs, clone_function=lambda operation: operation, call_function=visit
    )


class Copies:
    """Copies of operations: one for each original, however often that is called."""

    def __init__(self):
        self._copy_of: dict[int, keras.Operation] = {}

    def call(
        self,
        original: keras.Operation,
        args: tuple,
        kwargs: dict,
        config: dict | None = None,
        weights: Sequence[np.ndarray] | None = None,
    ):
        """Calls the copy of an operation.

        Args:
            original: The operation; it is not changed.
            args: Arguments of the call.
            kwargs: Keyword arguments of the call.
            config: Configuration of the copy. None: that of the original.
            weights: Weights of the copy. None: those of the original.

        Returns:
            What the copy returns.
        """
        copy = self._copy_of.get(id(original))
        if copy is not None:
            return copy(*args, **kwargs)
        copy = type(original).from_config(config or original.get_config())
        self._copy_of[id(original)] = copy
        outputs = copy(*args, **kwargs)
        if isinstance(copy, layers.Layer):
            copy.set_weights(original.get_weights() if weights is None else weights)
        if isinstance(copy, layers.Normalization):
            copy.finalize_state()  # It computes with tensors that it derives from its weights.
        return outputs
