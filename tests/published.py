"""Weights that stand for published ones, and files of them as other implementations write them."""

import json
import zipfile
import zlib
from pathlib import Path

import h5py
import numpy as np

DATA = Path(__file__).parent / "data"


def keras_cv_weight(index, name, shape):
    """The weight that the golden outputs were computed with, by the rule of their README."""
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
    """Likewise for the authors' network."""
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
    """Writes a state dict as the authors' ``basnet.pth`` is; needs PyTorch."""
    import torch

    torch.save({name: torch.from_numpy(array) for name, array in paper_state().items()}, path)


def write_keras_cv(name, path):
    """Writes a ``.weights.h5`` or ``.keras`` file of the layout that KerasCV's have."""
    recorded = json.loads((DATA / f"{name}_file.json").read_text())
    weights = path.with_suffix(".h5")
    arrays = keras_cv_weights(name)
    with h5py.File(weights, "w") as file:
        for entry, shape, index in recorded["entries"]:
            assert arrays[index].shape == tuple(shape)
            file[entry] = arrays[index]
        file["optimizer/vars/0"] = 7  # As a compiled model has it.
    if path.suffix == ".keras":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", json.dumps(recorded["config"]))
            archive.write(weights, "model.weights.h5")
        weights.unlink()
