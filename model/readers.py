"""Reads the files that other implementations keep their weights in, as arrays by their names."""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np


def read_paper(path: Path) -> dict[str, np.ndarray]:
    """Reads a PyTorch state dict, such as the authors' ``basnet.pth``, without running its code.

    Args:
        path: A file that ``torch.save`` wrote, in either of its formats. The prefix ``module.``
            that ``DataParallel`` gives to all names is left out.

    Returns:
        Names to arrays, float32.

    Raises:
        ValueError: PyTorch is not installed, or the file is damaged or holds something else.
    """
    try:
        import torch
    except ImportError:
        raise ValueError(f"{path} needs PyTorch to be read: pip install '.[torch]'") from None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # Whatever damaged bytes lead PyTorch's reader to.
        raise ValueError(
            f"{path} cannot be read as PyTorch weights: it is damaged, or no such file, or holds "
            f"more than tensors, which could run code and is refused ({type(error).__name__})"
        ) from error
    if not isinstance(state, dict):
        raise ValueError(f"{path} holds a {type(state).__name__}, not tensors by their names")
    for name, value in state.items():
        is_dense = isinstance(value, torch.Tensor) and value.layout == torch.strided
        if not isinstance(name, str) or not is_dense:
            raise ValueError(f"{path} holds more than tensors by their names: {name!r}")
    if all(name.startswith("module.") for name in state):
        state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    return {name: tensor.detach().float().numpy() for name, tensor in state.items()}


def read_keras_cv(path: Path) -> dict[str, np.ndarray]:
    """Reads what KerasCV's BASNet wrote with ``save_weights`` or ``save``, on Keras 3.

    Args:
        path: A ``.weights.h5`` or ``.keras`` file.

    Returns:
        The names of the data sets below ``layers`` to arrays. The state of an optimizer, which
        lies elsewhere in the file, is left out.

    Raises:
        ValueError: The file is damaged or holds another model.
    """
    try:
        if path.suffix != ".keras":
            return _read_h5(path)
        with zipfile.ZipFile(path) as archive, tempfile.TemporaryFile() as file:
            config = json.loads(archive.read("config.json"))
            name = config.get("registered_name") or config.get("class_name")
            if name != "keras_cv>BASNet":
                raise ValueError(f"it holds a model {name!r}")
            with archive.open("model.weights.h5") as member:
                shutil.copyfileobj(member, file)
            return _read_h5(file)
    except Exception as error:  # Whatever damaged bytes lead these readers to.
        raise ValueError(f"{path} is no file of KerasCV's BASNet: {error}") from error


def read_keras_hub(preset: str) -> tuple[keras.Model, float | list, float | list]:
    """Loads a BASNet preset with KerasHub.

    Args:
        preset: A local folder, or a name that KerasHub can download.

    Returns:
        A ``keras_hub.models.BASNetBackbone``, and scale and offset, for all channels or each, of
        the pixels that it takes.

    Raises:
        ValueError: KerasHub is not installed, cannot get the preset or finds another model in it.
    """
    try:
        import keras_hub
    except ImportError:
        raise ValueError(f"{preset} needs KerasHub to be read: pip install '.[hub]'") from None
    try:
        segmenter = keras_hub.models.BASNetImageSegmenter.from_preset(preset)
    except Exception as error:  # Of the network, of the files or of the model, each with its own.
        reason = (str(error).splitlines() or [""])[0]
        raise ValueError(
            f"{preset} is no preset that KerasHub can load from disk or download: "
            f"{type(error).__name__}: {reason}"
        ) from error
    return segmenter.backbone, *scaling_of(segmenter.preprocessor)


def scaling_of(preprocessor) -> tuple[float | list, float | list]:
    """Scale and offset, for all channels or each, of a KerasHub preprocessor or None.

    They are 1 / 255 and 0 where it has none: presets without a scale of their own, such as
    ``basnet_duts``, are of networks that were trained on images in [0, 1].
    """
    converter = getattr(preprocessor, "image_converter", None)
    scale, offset = getattr(converter, "scale", None), getattr(converter, "offset", None)
    if scale is None and offset is None:
        return 1 / 255, 0.0
    return 1.0 if scale is None else scale, 0.0 if offset is None else offset


def _read_h5(file) -> dict[str, np.ndarray]:
    arrays = {}

    def visit(name: str, item) -> None:
        if isinstance(item, h5py.Dataset):
            if item.dtype.kind != "f":
                raise ValueError(f"layers/{name} holds {item.dtype}, not floating-point numbers")
            arrays[f"layers/{name}"] = item[...]

    with h5py.File(file, "r") as content:
        if "layers" not in content:
            raise ValueError("it has no group 'layers', as a file that Keras 3 wrote has")
        content["layers"].visititems(visit)
    return arrays
