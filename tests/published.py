"""Random weights in place of published ones, and files of them in the published formats."""

import json
import zipfile
import zlib
from pathlib import Path

import h5py
import numpy as np

DATA = Path(__file__).parent / "data"


def keras_cv_weight(index, name, shape):
    """A weight of the golden outputs, by the rule in the README of tests/data."""
    rng = np.random.default_rng([0, index])
    kind = name.rsplit("/", 1)[-1]
    if kind == "kernel":
        return rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[:3]))
    if kind == "gamma":
        return rng.uniform(0.5, 1.0, shape)
    if kind == "moving_variance":
        return rng.uniform(0.5, 1.5, shape)
    return 0.1 * rng.standard_normal(shape)


def paper_weight(name, shape):
    """A weight of the authors' network, by the rule in the same README."""
    rng = np.random.default_rng([0, zlib.crc32(name.encode())])
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape)
    if len(shape) == 4:
        return rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
    if name.endswith(".weight"):
        return rng.uniform(0.5, 1.0, shape)
    if name.endswith("running_var"):
        return rng.uniform(0.5, 1.5, shape)
    return 0.1 * rng.standard_normal(shape)


def layout(name):
    return json.loads((DATA / f"{name}_layout.json").read_text())


def paper_state():
    return {
        name: paper_weight(name, shape).astype("float32")
        for name, shape, _ in layout("paper_network")
    }


def keras_cv_weights(name):
    return [
        keras_cv_weight(index, key, shape).astype("float32")
        for index, (key, shape) in enumerate(layout(name))
    ]


def write_paper(path):
    """Writes a state dict in the format of the authors' ``basnet.pth``; needs PyTorch."""
    import torch

    torch.save({name: torch.from_numpy(array) for name, array in paper_state().items()}, path)


def write_keras_cv(name, path):
    """Writes a ``.weights.h5`` or ``.keras`` file with the layout of KerasCV's files."""
    recorded = json.loads((DATA / f"{name}_file.json").read_text())
    weights = path.with_suffix(".h5")
    arrays = keras_cv_weights(name)
    with h5py.File(weights, "w") as file:
        for entry, shape, index in recorded["entries"]:
            assert arrays[index].shape == tuple(shape)
            file[entry] = arrays[index]
        file["optimizer/vars/0"] = 7  # Files of compiled models have such entries.
    if path.suffix == ".keras":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", json.dumps(recorded["config"]))
            archive.write(weights, "model.weights.h5")
        weights.unlink()


# EfficientNet-Lite0: channels, stride and kernel of each block.
LITE0_BLOCKS = [(16, 1, 3)]
LITE0_BLOCKS += [(24, 2, 3), (24, 1, 3), (40, 2, 5), (40, 1, 5)]
LITE0_BLOCKS += [(80, 2, 3), (80, 1, 3), (80, 1, 3), (112, 1, 5), (112, 1, 5), (112, 1, 5)]
LITE0_BLOCKS += [(192, 2, 5), (192, 1, 5), (192, 1, 5), (192, 1, 5), (320, 1, 3)]


def lite0_state():
    """Arrays with the names and shapes of EfficientNet-Lite0's file, and random numbers."""
    rng = np.random.default_rng(0)
    state = {}

    def convolution(name, out, inputs, kernel):
        values = rng.standard_normal((out, inputs, kernel, kernel)) * (inputs * kernel) ** -0.5
        state[f"{name}.weight"] = values

    def norm(name, width):
        state[f"{name}.weight"] = rng.normal(1, 0.1, width)
        state[f"{name}.bias"] = rng.normal(0, 0.5, width)
        state[f"{name}.running_mean"] = rng.normal(0, 0.1, width)
        state[f"{name}.running_var"] = rng.uniform(1, 2, width)
        state[f"{name}.num_batches_tracked"] = np.array(1)

    convolution("_conv_stem", 32, 3, 3)
    norm("_bn0", 32)
    width = 32
    for number, (channels, _, kernel) in enumerate(LITE0_BLOCKS):
        name, wide = f"_blocks.{number}", width
        if number:
            wide = 6 * width
            convolution(f"{name}._expand_conv", wide, width, 1)
            norm(f"{name}._bn0", wide)
        convolution(f"{name}._depthwise_conv", wide, 1, kernel)
        norm(f"{name}._bn1", wide)
        convolution(f"{name}._project_conv", channels, wide, 1)
        norm(f"{name}._bn2", channels)
        width = channels
    convolution("_conv_head", 1280, 320, 1)
    return {name: array.astype("float32") for name, array in state.items()}


def write_lite0(state, path):
    """Writes arrays as a file of PyTorch tensors; needs PyTorch."""
    import torch

    torch.save({name: torch.from_numpy(array) for name, array in state.items()}, path)
