"""Pixels in, probability maps out: a network as the pipeline uses it."""

from __future__ import annotations

import textwrap
import warnings
import zipfile
import zlib
from pathlib import Path

import keras
import numpy as np

from model.basnet import STRIDE, BASNet
from model.presets import MODEL_SUFFIX, PRESETS, WEIGHTS_SUFFIX

TTA = ("none", "flip")

# An interpolation between probabilities may round to a little more than one.
_ROUNDING = 1e-3

# What Keras and h5py raise for a file that is damaged, or made by something else. Keras has no
# exception of its own for it.
_UNREADABLE = (
    AttributeError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)


class Segmenter:
    """A network at a fixed image size and batch size, of which only the first output is computed.

    Args:
        model: A network from pixels in [0, 255], (N, H, W, 3), whose first output is a
            probability map (N, H, W, 1). Outputs in a dict are in the order of the dict.
        image_size: Side S of the images, in pixels.
        batch_size: Number of images that the network runs on at once; smaller batches are padded,
            so that an image's map does not depend on how many came with it.
        tta: Test-time augmentation, one of `TTA`. ``"flip"``: a map is the mean of the image's
            and of the mirrored image's, mirrored back, for twice the time.

    Raises:
        ValueError: The network does not take such images, or its first output is no such map, or
            there is no such augmentation.
    """

    def __init__(self, model: keras.Model, image_size: int, batch_size: int, tta: str = "none"):
        if tta not in TTA:
            raise ValueError(f"tta must be one of {', '.join(TTA)}; got {tta!r}")
        # Without a graph a model has no such attribute.
        if getattr(model, "inputs", None) is None:
            raise ValueError(
                f"the model, a {type(model).__name__}, has no fixed graph of layers from an input "
                "to outputs; a functional model, or a Sequential with an Input, would do"
            )
        size = (image_size, image_size, 3)
        shapes = [tuple(tensor.shape[1:]) for tensor in model.inputs]
        if len(shapes) != 1 or not _fits(shapes[0], size):
            raise ValueError(
                f"the model takes {', '.join(map(str, shapes))}; images are {size}{_hint(shapes)}"
            )
        output = _first(model)
        if not _fits(output.shape[1:], (image_size, image_size, 1)):
            raise ValueError(
                f"the model's first output is {tuple(output.shape[1:])}; "
                f"a map would be {(image_size, image_size, 1)}"
            )
        self.image_size = image_size
        self.batch_size = batch_size
        self.tta = tta
        self._network = keras.Model(model.inputs, output)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Segments a batch.

        Args:
            images: uint8 (N, S, S, 3), RGB, N at most ``batch_size``.

        Returns:
            float32 (N, S, S) in [0, 1].
        """
        batch = np.zeros((self.batch_size, *images.shape[1:]), np.float32)
        batch[: len(images)] = images
        maps = self._maps(batch)
        if self.tta == "flip":
            # A second run, as one of twice as many images would need twice the memory; of a copy,
            # as not every backend takes an array that runs backwards.
            mirrored = self._maps(np.ascontiguousarray(batch[:, :, ::-1]))
            maps = (maps + mirrored[:, :, ::-1]) / 2
        return maps[: len(images)]

    def probe(self) -> None:
        """Runs the network on one batch, to see that its maps are maps.

        Raises:
            ValueError: It fails, or a map has another size than the image, or holds values that
                are not finite or not in [0, 1].
        """
        rng = np.random.default_rng(0)
        image = rng.integers(0, 256, (1, self.image_size, self.image_size, 3), dtype=np.uint8)
        # Black to white on the left, so that it is not noise alone.
        half = self.image_size // 2
        image[:, :, :half] = np.linspace(0, 255, self.image_size)[:, None, None]
        try:
            found = self(image)[0]
        except Exception as error:
            # What a network raises depends on its layers and on what Keras runs on.
            raise ValueError(
                f"the model fails on an image {image.shape[1:]}: {_line(error)}; "
                "another image_size may do"
            ) from error
        if found.shape != image.shape[1:3]:
            raise ValueError(
                f"the model's map of an image {image.shape[1:3]} is {found.shape}; "
                "a map as large as the image would do"
            )
        if not np.isfinite(found).all():
            raise ValueError(
                "the model's map of a test image holds values that are not finite, "
                "as after a training that diverged; probabilities from 0 to 1 would do"
            )
        low, high = float(found.min()), float(found.max())
        if low < -_ROUNDING or high > 1 + _ROUNDING:
            raise ValueError(
                f"the model's map of a test image has values from {low:.4g} to {high:.4g}, "
                "probabilities are from 0 to 1; if these are logits, add a sigmoid"
            )

    def _maps(self, batch: np.ndarray) -> np.ndarray:
        maps = self._network.predict_on_batch(batch)
        return np.asarray(maps, np.float32)[..., 0]


def load_model(name: str) -> keras.Model:
    """Loads a preset with weights or a local file, without running code from the file.

    Args:
        name: A preset, a ``.keras`` file, or a ``.weights.h5`` file of one of the presets'
            networks.

    Raises:
        ValueError: There is no such preset or file, or it holds no such network; the message is
            one line.
        OSError: The file may not be read.
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
    # Of a file that is no archive, Keras says that it is not there.
    with open(path, "rb") as file:
        if not zipfile.is_zipfile(file):
            raise ValueError(
                f"it is no {MODEL_SUFFIX} file, or only a part of one; save the model again, or "
                "copy the file again"
            )
    try:
        model = keras.saving.load_model(path, compile=False)
    except _UNREADABLE as error:
        raise ValueError(
            f"Keras does not load it: {_line(error)}; an undamaged file of a model made of Keras' "
            "own layers, or of a BASNet, would do"
        ) from error
    if not isinstance(model, keras.Model):
        raise ValueError(f"it holds a {type(model).__name__}; a model would do")
    return model


def _load_weights(path: str) -> keras.Model:
    for preset in ("basnet_mini", "basnet_paper", "basnet_resnet18", "basnet_resnet34"):
        model = BASNet.from_preset(preset, load_weights=False, input_shape=(None, None, 3))
        with warnings.catch_warnings():
            # Keras only warns of layers that the file lacks, and leaves them random.
            warnings.simplefilter("error", UserWarning)
            try:
                model.load_weights(path)
            except (ValueError, UserWarning):
                continue
            except _UNREADABLE as error:
                raise ValueError(
                    f"it cannot be read: {_line(error)}; save or copy the weights again"
                ) from error
        return model
    raise ValueError(
        "its weights fit none of the presets' networks; "
        f"those of another are saved with it, as a {MODEL_SUFFIX} file"
    )


def _first(model: keras.Model):
    # A dict's outputs are sorted by name in model.outputs; a Sequential has no model.output.
    output = model.outputs if isinstance(model, keras.Sequential) else model.output
    while isinstance(output, dict | list | tuple):
        output = next(iter(output.values() if isinstance(output, dict) else output))
    return output


def _hint(shapes: list[tuple[int | None, ...]]) -> str:
    match shapes:
        case [(int(height), int(width), 3)] if height == width and height % STRIDE == 0:
            return f"; an image_size of {height} would do"
        case [_, _, *_]:
            return "; a model of one input would do"
    return ""


def _line(error: BaseException) -> str:
    """The first line of what went wrong first; Keras wraps it, and prints whole configurations."""
    while error.__context__ is not None:
        error = error.__context__
    lines = str(error).splitlines() or [type(error).__name__]
    return textwrap.shorten(lines[0], 200, placeholder=" ...")


def _fits(shape: tuple[int | None, ...], wanted: tuple[int, ...]) -> bool:
    return len(shape) == len(wanted) and all(
        side in (None, want) for side, want in zip(shape, wanted, strict=True)
    )
