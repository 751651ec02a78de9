"""Loads networks for OpenVINO, where possible without Keras."""

from __future__ import annotations

import json
import tempfile

from model.inference.onnx_graph import graph_of_onnx
from model.inference.openvino_alone import ov
from model.inference.openvino_graph import graph_of_layers
from model.inference.weights_files import listed_preset
from model.presets import MODEL_SUFFIX, ONNX_SUFFIX, PRESETS


def load_for_openvino(name: str, image_size: int) -> ov.Model:
    """Loads a network for images of one size.

    Args:
        name: A preset, a ``.keras`` file, a ``.weights.h5`` file for the network of a preset, or an
            ``.onnx`` file with its card, see ``onnx_card``.
        image_size: Side S of the images, in pixels.

    Returns:
        A graph from pixels, uint8 (1, S, S, 3), to the map, S x S numbers of float32.

    Raises:
        ValueError: The network cannot be loaded or does not take such images. The message is one
            line.
        OSError: The file cannot be read.
    """
    if name.endswith(ONNX_SUFFIX):
        return graph_of_onnx(name, image_size)
    preset = listed_preset(name)
    if preset is None:
        return _by_keras(name, image_size)
    layers = json.loads(preset.layers.read_text())
    weights = preset.weights if name in PRESETS else name
    try:
        return graph_of_layers(layers, weights, image_size)
    except (KeyError, ValueError, RuntimeError) as error:
        raise ValueError(
            "its weights fit none of the presets' networks; "
            f"those of another are saved with it, as a {MODEL_SUFFIX} file"
        ) from error


def _by_keras(name: str, image_size: int) -> ov.Model:
    # Imported here because a network whose layers are listed needs no Keras.
    import keras

    from model.inference.keras_network import made_faster
    from model.inference.load import load_model

    network = made_faster(load_model(name), image_size, "float32")
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"OpenVINO reads Keras' files by way of TensorFlow, and Keras' backend is "
            f"{keras.backend.backend()}; without KERAS_BACKEND it would do"
        )
    with tempfile.TemporaryDirectory() as folder:
        network.export(folder, format="tf_saved_model", verbose=False)
        graph = ov.Core().read_model(folder)
        graph.reshape([1, image_size, image_size, 3])
        prepared = ov.preprocess.PrePostProcessor(graph)
        prepared.input().tensor().set_element_type(ov.Type.u8)
        # Its weights are read from the folder when they are asked for.
        return prepared.build().clone()
