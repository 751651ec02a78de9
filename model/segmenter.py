"""Pixels in, probability maps out: a network as the pipeline uses it."""

from __future__ import annotations

import warnings
from pathlib import Path

import keras
import numpy as np

from model.basnet import BASNet
from model.presets import PRESETS

WEIGHTS_SUFFIX = ".weights.h5"


class Segmenter:
    """A network at a fixed image size and batch size, of which only the first output is computed.

    Args:
        model: A network from pixels in [0, 255], (N, H, W, 3), whose first output is a
            probability map (N, H, W, 1).
        image_size: Side S of the images, in pixels.
        batch_size: Number of images that the network runs on at once; smaller batches are padded,
            so that an image's map does not depend on how many came with it.

    Raises:
        ValueError: The network does not take such images, or its first output is no such map.
    """

    def __init__(self, model: keras.Model, image_size: int, batch_size: int):
        size = (image_size, image_size, 3)
        if len(model.inputs) != 1 or not _fits(model.inputs[0].shape[1:], size):
            shapes = ", ".join(str(tuple(tensor.shape[1:])) for tensor in model.inputs)
            raise ValueError(f"the model takes {shapes}; images are {size}")
        if not _fits(model.outputs[0].shape[1:], (image_size, image_size, 1)):
            raise ValueError(
                f"the model's first output is {tuple(model.outputs[0].shape[1:])}; "
                f"a map would be {(image_size, image_size, 1)}"
            )
        self.image_size = image_size
        self.batch_size = batch_size
        self._network = keras.Model(model.inputs, model.outputs[0])

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Segments a batch.

        Args:
            images: uint8 (N, S, S, 3), RGB, N at most ``batch_size``.

        Returns:
            float32 (N, S, S) in [0, 1].
        """
        batch = np.zeros((self.batch_size, *images.shape[1:]), np.float32)
        batch[: len(images)] = images
        maps = self._network.predict_on_batch(batch)
        return np.asarray(maps, np.float32)[: len(images), :, :, 0]


def load_model(name: str) -> keras.Model:
    """Loads a preset with weights or a local file.

    Args:
        name: A preset, a ``.keras`` file, or a ``.weights.h5`` file of one of the presets'
            networks.

    Raises:
        ValueError: There is no such preset or file, or it holds no such network.
    """
    if name in PRESETS:
        return BASNet.from_preset(name, load_weights=True)
    if not name.endswith((".keras", WEIGHTS_SUFFIX)):
        raise ValueError(
            f"{name!r} is neither a preset ({', '.join(BASNet.presets_with_weights)}) "
            f"nor a .keras or {WEIGHTS_SUFFIX} file"
        )
    if not Path(name).is_file():
        raise ValueError(f"there is no file {name!r}")
    if name.endswith(".keras"):
        return keras.saving.load_model(name, compile=False)
    for preset in ("basnet_mini", "basnet_paper", "basnet_resnet18", "basnet_resnet34"):
        model = BASNet.from_preset(preset, load_weights=False, input_shape=(None, None, 3))
        with warnings.catch_warnings():
            # Keras only warns of layers that the file lacks, and leaves them random.
            warnings.simplefilter("error", UserWarning)
            try:
                model.load_weights(name)
            except (ValueError, UserWarning):
                continue
        return model
    raise ValueError(f"the weights in {name!r} fit none of the presets' networks")


def _fits(shape: tuple[int | None, ...], wanted: tuple[int, ...]) -> bool:
    return len(shape) == len(wanted) and all(
        side in (None, want) for side, want in zip(shape, wanted, strict=True)
    )
