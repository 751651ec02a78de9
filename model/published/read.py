"""Reads weights files of other implementations, as arrays by their names."""

from __future__ import annotations

import json
import shutil
import tempfile
import warnings
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np

from model.inference.weights_files import count_numbers

# Limits of one array and of a whole file with the state of an optimizer. No BASNet reaches them.
_MOST_BYTES = 1 << 30
_MOST_BYTES_IN_ALL = 1 << 33


def read_paper(path: Path) -> dict[str, np.ndarray]:
    """Reads a PyTorch state dict, such as the authors' ``basnet.pth``, without running its code.

    Args:
        path: A file that ``torch.save`` wrote, in either of its formats. The prefix ``module.``
            that ``DataParallel`` adds to all names is removed.

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
    except Exception as error:  # Damaged files can make PyTorch raise anything.
        raise ValueError(
            f"{path} cannot be read as PyTorch weights: it is damaged, is of another format, or "
            f"holds more than tensors, which could run code and is refused ({type(error).__name__})"
        ) from error
    if not isinstance(state, dict):
        raise ValueError(f"{path} holds a {type(state).__name__}, not tensors by their names")
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise ValueError(f"{path} holds more than tensors by their names: {name!r}")
        is_plain = (
            value.layout == torch.strided
            and value.device.type == "cpu"
            and not (value.is_quantized or value.is_complex())
            # A tensor that repeats its numbers can claim any size.
            and value.numel() * value.element_size() <= value.untyped_storage().nbytes()
        )
        if not is_plain:
            raise ValueError(f"{path} holds {name} as no plain tensor of real numbers")
    if all(name.startswith("module.") for name in state):
        state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    return {name: tensor.detach().float().numpy() for name, tensor in state.items()}


def read_keras_cv(path: Path) -> dict[str, np.ndarray]:
    """Reads weights that KerasCV's BASNet saved on Keras 3 with ``save_weights`` or ``save``.

    Args:
        path: A ``.weights.h5`` or ``.keras`` file.

    Returns:
        Names of the data sets below ``layers`` to arrays, without the state of an optimizer.

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
            size = archive.getinfo("model.weights.h5").file_size
            if size > _MOST_BYTES_IN_ALL:
                raise ValueError(f"its weights take {size:,} bytes")
            with archive.open("model.weights.h5") as member:
                shutil.copyfileobj(member, file)
            return _read_h5(file)
    except Exception as error:  # Damaged files can make these readers raise anything.
        raise ValueError(f"{path} is no file of KerasCV's BASNet: {error}") from error


def read_keras_hub(preset: str) -> tuple[keras.Model, float | list, float | list]:
    """Loads a BASNet preset with KerasHub.

    Args:
        preset: A local folder, or a name that KerasHub can download.

    Returns:
        A ``keras_hub.models.BASNetBackbone``, and the scale and offset of its pixels, one number
        for all channels or one for each.

    Raises:
        ValueError: KerasHub is not installed, cannot load the preset, or the preset holds another
            model.
    """
    try:
        import keras_hub
    except ImportError:
        raise ValueError(f"{preset} needs KerasHub to be read: pip install '.[hub]'") from None
    try:
        with warnings.catch_warnings():
            # Keras only warns of layers that are missing in the file and leaves them random.
            warnings.filterwarnings("error", category=UserWarning, module=r"keras\.src\.saving")
            segmenter = keras_hub.models.BASNetImageSegmenter.from_preset(preset)
    except Exception as error:  # Download, files and model raise errors of many kinds.
        reason = (str(error).splitlines() or [""])[0]
        raise ValueError(
            f"{preset} is no preset that KerasHub can load from disk or download: "
            f"{type(error).__name__}: {reason}"
        ) from error
    weights = Path(preset) / "model.weights.h5"
    if weights.is_file():
        # Keras silently ignores numbers in the file that belong to no layer.
        found, wanted = count_numbers(weights), segmenter.backbone.count_params()
        if found != wanted:
            raise ValueError(
                f"{weights} holds {found:,} numbers, the network of {preset}/config.json {wanted:,}"
            )
    return segmenter.backbone, *scaling_of(segmenter.preprocessor)


def scaling_of(preprocessor) -> tuple[float | list, float | list]:
    """Returns how a KerasHub preprocessor scales pixels.

    Args:
        preprocessor: A preprocessor of KerasHub, or None.

    Returns:
        Scale and offset, one number for all channels or one for each. They are 1 / 255 and 0 if the
        preprocessor has none: networks of such presets, like ``basnet_duts``, were trained on
        images in [0, 1].
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
            if item.external or item.is_virtual:
                raise ValueError(f"layers/{name} has its numbers in another file")
            if item.nbytes > _MOST_BYTES:
                raise ValueError(f"layers/{name} takes {item.nbytes:,} bytes")
            arrays[f"layers/{name}"] = item[...]

    with h5py.File(file, "r") as content:
        if "layers" not in content:
            raise ValueError("it has no group 'layers', as a file that Keras 3 wrote has")
        content["layers"].visititems(visit)
    return arrays
