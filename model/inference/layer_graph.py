"""What calls what in a functional network, nested models included."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import NamedTuple

import keras


class Call(NamedTuple):
    """A call of an operation.

    Attributes:
        operation: What is called; None for a network's output.
        sources: What gave the tensors that it is called on.
        plain: Whether it is called on one tensor, and with nothing else asked for.
    """

    operation: keras.Operation | None
    sources: list[keras.Operation]
    plain: bool


def calls(model: keras.Model) -> Iterator[Call]:
    """All calls in a graph and those nested in it; last, its output, of no operation."""
    graph = graph_of(model)
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
            if plain and is_graph(operation):
                yield from calls(operation)
            yield Call(operation, sources, plain)
    yield Call(None, [operations[config["output_layers"][0]]], plain=False)


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


def last(model: keras.Model) -> keras.Operation:
    """What gives the output, in the innermost graph."""
    *_, output = calls(model)
    return last(output.sources[0]) if is_graph(output.sources[0]) else output.sources[0]


def is_graph(operation: keras.Operation) -> bool:
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


def graph_of(model: keras.Model) -> keras.Model:
    """The same layers as a functional model from its first input to its first output."""
    return keras.Model(model.inputs[0], model.outputs[0])
