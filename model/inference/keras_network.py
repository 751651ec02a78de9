"""A network that Keras runs, in batches of one size."""

from __future__ import annotations

import keras
import numpy as np

from model.inference.batch_norm_folding import fold_batch_norm
from model.inference.device import computing_device
from model.inference.error_line import fails
from model.inference.upsampling_fusion import fuse_upsampling
from model.networks.basnet import STRIDE


def made_faster(model: keras.Model, image_size: int, dtype: str) -> keras.Model:
    """Builds a network again for inference on images of one size: its first output alone.

    Batch normalisation is folded into the convolutions, and upsampling fused with them where that
    is faster.

    Args:
        model: As ``Segmenter`` takes it. It is neither changed nor kept.
        image_size: Side S of the images, in pixels.
        dtype: What it computes in.

    Returns:
        A model from float32 (N, S, S, 3) to (N, S, S, 1), with weights of its own.

    Raises:
        ValueError: The network does not take such images, or its first output is no such map.
    """
    # Subclassed models, and a Sequential without an Input, have no inputs.
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
    try:
        network = keras.Model(model.inputs, output)
        return fuse_upsampling(fold_batch_norm(network, (None, *size), dtype))
    except Exception as error:
        # Layers can raise anything.
        raise ValueError(fails(size, error)) from error


class KerasNetwork:
    """A network for batches of one size; smaller ones are padded.

    So a map does not depend on the number of images.

    Args:
        network: What ``made_faster`` returns.
        batch_size: Images at once.

    Attributes:
        device: Where it computes, ``"cpu"`` or ``"gpu"``.
    """

    def __init__(self, network: keras.Model, batch_size: int):
        self.batch_size = batch_size
        self.device = computing_device()
        # A model of its own, with the same weights, for each batch size: a function that has seen
        # batches of two sizes is compiled again, for any size, which is slower.
        self._network = keras.Model(network.inputs, network.outputs[0])
        if keras.backend.backend() == "tensorflow":
            # Keras compiles with XLA by default, which on CPUs takes 1.6 times as long in float32
            # and 4 times in bfloat16.
            self._network.jit_compile = False

    def halved(self) -> KerasNetwork:
        """Returns the same network for half as many images at once."""
        return KerasNetwork(self._network, self.batch_size // 2)

    def maps(self, images: np.ndarray) -> np.ndarray:
        """Runs the network.

        Args:
            images: uint8 (N, S, S, 3).

        Returns:
            float32 (N, S, S).
        """
        maps = []
        for start in range(0, len(images), self.batch_size):
            some = images[start : start + self.batch_size]
            batch = np.zeros((self.batch_size, *images.shape[1:]), np.uint8)
            batch[: len(some)] = some
            # Pixels stay uint8 here; the graph casts them.
            found = self._network.predict_on_batch(batch)
            maps.append(np.asarray(found, np.float32)[: len(some), ..., 0])
        return np.concatenate(maps)


def _first(model: keras.Model):
    # model.outputs sorts a dict by name, so use model.output, which a Sequential lacks.
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


def _fits(shape: tuple[int | None, ...], wanted: tuple[int, ...]) -> bool:
    return len(shape) == len(wanted) and all(
        side in (None, want) for side, want in zip(shape, wanted, strict=True)
    )
