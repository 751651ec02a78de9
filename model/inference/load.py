"""Loads networks from presets and files, without running code from a file."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path

import keras

from model.inference.error_line import one_line
from model.inference.weights_files import preset_of
from model.networks.basnet import BASNet
from model.presets import MODEL_SUFFIX, PRESETS, WEIGHTS_SUFFIX


def load_model(name: str) -> keras.Model:
    """Loads a preset with weights or a local file, without running code from the file.

    Args:
        name: A preset, a ``.keras`` file, or a ``.weights.h5`` file for the network of a preset.

    Returns:
        The network, not compiled.

    Raises:
        ValueError: There is no such preset or file, or the file cannot be loaded. The message is
            one line.
        OSError: The file cannot be read.
    """
    if name in PRESETS:
        return BASNet.from_preset(name, load_weights=True)
    if not name.endswith((MODEL_SUFFIX, WEIGHTS_SUFFIX)):
        raise ValueError(
            f"{name!r} is neither a preset ({', '.join(BASNet.presets_with_weights)}) "
            f"nor a {MODEL_SUFFIX} or {WEIGHTS_SUFFIX} file"
        )
    if not Path(name).is_file():
        raise ValueError(f"there is no file {name!r}")
    return _load_whole(name) if name.endswith(MODEL_SUFFIX) else _load_weights(name)


def _load_whole(path: str) -> keras.Model:
    # Keras would report a file that is no archive as missing.
    with open(path, "rb") as file:
        if not zipfile.is_zipfile(file):
            raise ValueError(
                f"it is no {MODEL_SUFFIX} file, or only a part of one; save the model again, or "
                "copy the file again"
            )
    try:
        model = keras.saving.load_model(path, compile=False)
    except Exception as error:  # Damaged or hostile files can make Keras raise anything.
        raise ValueError(
            f"Keras does not load it: {one_line(error)}; an undamaged file of a model made of "
            "Keras' own layers, or of a BASNet, would do"
        ) from error
    if not isinstance(model, keras.Model):
        raise ValueError(f"it holds a {type(model).__name__}; a model would do")
    return model


def _load_weights(path: str) -> keras.Model:
    try:
        preset = preset_of(path)
        if preset is not None:
            model = BASNet.from_preset(preset, load_weights=False, input_shape=(None, None, 3))
            with warnings.catch_warnings():
                # Keras only warns of layers that are missing in the file and leaves them random.
                warnings.simplefilter("error", UserWarning)
                model.load_weights(path)
            return model
    except (ValueError, UserWarning):
        pass  # As many numbers, but other layers.
    except Exception as error:  # Damaged files can make h5py and Keras raise anything.
        raise ValueError(
            f"it cannot be read: {one_line(error)}; save or copy the weights again"
        ) from error
    raise ValueError(
        "its weights fit none of the presets' networks; "
        f"those of another are saved with it, as a {MODEL_SUFFIX} file"
    )
