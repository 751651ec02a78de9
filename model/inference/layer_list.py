"""A network as a list of layers, which says where in its weights file each has its weights.

With the list and a weights file, OpenVINO runs the network without Keras, see ``openvino_graph``.
``python -m model.convert basnet_mini model/weights/basnet_mini.layers.json`` writes it. It holds no
weights, so only a change of the network's layers makes it anew.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import h5py
import keras
import numpy as np
from keras import layers

from model.inference.batch_norm_folding import foldable
from model.inference.layer_graph import Call, calls, count_calls, graph_of, is_graph

# Settings that are kept of each kind of layer, and those that have to be what they are here.
_CONV = ("strides", "dilation_rate", "use_bias")
_PLAIN = {"padding": "same", "data_format": "channels_last", "activation": "linear"}
_LAST = {"data_format": "channels_last"}
_KINDS = {
    layers.Conv2D: (_CONV, {**_PLAIN, "groups": 1}),
    layers.DepthwiseConv2D: (_CONV, {**_PLAIN, "depth_multiplier": 1}),
    layers.Rescaling: (("scale", "offset"), {}),
    layers.ReLU: (("max_value",), {"negative_slope": 0, "threshold": 0}),
    layers.Add: ((), {}),
    layers.Concatenate: ((), {"axis": -1}),
    layers.UpSampling2D: (("size",), {"interpolation": "bilinear", **_LAST}),
    layers.MaxPooling2D: (("pool_size", "strides"), {"padding": "valid", **_LAST}),
    layers.Activation: ((), {"activation": "sigmoid"}),
}


def layer_list(model: keras.Model) -> list[dict]:
    """Lists the layers from the input of a network to its first output.

    Args:
        model: A functional model of one input. All its weights are overwritten.

    Returns:
        A dict for each layer, those before it first: its ``kind``, the ``inputs`` (numbers in the
        list; -1 for the image), the ``weights`` (names in a weights file), and settings. A
        convolution also has the weights and the epsilon of the batch normalisation after it, as
        ``norm`` and ``epsilon``; the normalisation is not listed.

    Raises:
        ValueError: There is a layer of which OpenVINO's graph is not made here.
    """
    places = _places(model)
    every = list(calls(keras.Model(model.inputs, model.outputs[0])))
    called, _ = count_calls(every)
    norm_of = foldable(every)
    inputs_of, number_of, listed = _nested_inputs(every), {}, []
    conv_of = {id(norm): conv for conv, norm in norm_of.items()}
    for operation, sources, _ in every:
        if operation is None or is_graph(operation) or isinstance(operation, layers.InputLayer):
            continue
        before = [number_of.get(id(_real(source, inputs_of)), -1) for source in sources]
        if id(operation) in conv_of:
            (number_of[id(operation)],) = before
            continue
        if called[id(operation)] > 1:
            raise ValueError(f"layer {operation.name} is called more than once")
        entry = {
            "kind": type(operation).__name__,
            "inputs": before,
            "weights": [places[id(weight)] for weight in operation.weights],
            **_settings(operation),
        }
        if norm := norm_of.get(id(operation)):
            entry["norm"] = [places[id(weight)] for weight in norm.weights]
            entry["epsilon"] = norm.epsilon
        number_of[id(operation)] = len(listed)
        listed.append(entry)
    return listed


def _settings(operation: keras.Operation) -> dict:
    kept, fixed = _KINDS.get(type(operation), ((), None))
    config = operation.get_config()
    if fixed is None or any(config[name] != value for name, value in fixed.items()):
        raise ValueError(
            f"layer {operation.name}, a {type(operation).__name__}, is none of those that can be "
            "listed"
        )
    return {name: config[name] for name in kept}


def _places(model: keras.Model) -> dict[int, str]:
    """Where each variable is in a weights file, by its id: each is filled with a number of its own.

    Keras names the groups of a file by its own counting, which is not public.
    """
    for number, weight in enumerate(model.weights):
        weight.assign(np.full(weight.shape, number))
    names = {}

    def note(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset):
            names[int(item[()].flat[0])] = name

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "numbered.weights.h5"
        model.save_weights(path)
        with h5py.File(path) as file:
            file.visititems(note)
    return {id(weight): names[number] for number, weight in enumerate(model.weights)}


def _nested_inputs(every: Iterable[Call]) -> dict[int, keras.Operation]:
    """What nested models are called with, by the id of their input layers."""
    return {
        id(inner): call.sources[0]
        for call in every
        if call.operation is not None and is_graph(call.operation)
        for inner in _input_layers(call.operation)
    }


def _input_layers(model: keras.Model) -> Iterator[keras.Operation]:
    return (op for op in graph_of(model).operations if isinstance(op, layers.InputLayer))


def _real(source: keras.Operation, inputs_of: dict[int, keras.Operation]) -> keras.Operation:
    """The layer whose output a source stands for, of nested models and of their inputs, too."""
    if is_graph(source):
        *_, output = calls(source)
        return _real(output.sources[0], inputs_of)
    if id(source) in inputs_of:
        return _real(inputs_of[id(source)], inputs_of)
    return source
