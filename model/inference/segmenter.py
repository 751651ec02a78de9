"""Segments batches of images with a network, as the pipeline does."""

from __future__ import annotations

import logging
import sys
import threading

import keras
import numpy as np

from model.inference.batch_norm_folding import fold_batch_norm
from model.inference.device import computing_device
from model.inference.load import one_line
from model.inference.upsampling_fusion import fuse_upsampling
from model.networks.basnet import STRIDE
from model.precision import dtype_of

TTA = ("none", "flip")

# How far a probability may be outside [0, 1]: interpolation rounds, and no mask shows it.
ROUNDING = 1e-3


class Segmenter:
    """A network that is optimised for one image size and one batch size.

    Only its first output is computed. It has weights of its own, with batch normalisation folded
    into the convolutions. Threads may share it.

    Args:
        model: A network from pixels in [0, 255], (N, H, W, 3), whose first output is a
            probability map (N, H, W, 1). Outputs in a dict have the order of the dict. The model
            is neither changed nor kept.
        image_size: Side S of the images, in pixels.
        batch_size: Number of images that the network runs on at once. Fewer are padded, so that a
            map does not depend on the number of images.
        tta: Test-time augmentation, one of ``TTA``. ``"flip"`` averages the maps of the image and
            of its mirror image, which takes twice the time.
        precision: What the network computes in, one of ``model.precision.PRECISIONS``. Maps are
            always float32.

    Attributes:
        device: Where it computes, ``"cpu"`` or ``"gpu"``.

    Raises:
        ValueError: The network does not take such images, its first output is no such map, or the
            augmentation or precision is unknown.
    """

    def __init__(
        self,
        model: keras.Model,
        image_size: int,
        batch_size: int,
        tta: str = "none",
        precision: str = "float32",
    ):
        if tta not in TTA:
            raise ValueError(f"tta must be one of {', '.join(TTA)}; got {tta!r}")
        dtype = dtype_of(precision)
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
        self.image_size = image_size
        self.tta = tta
        self.device = computing_device()
        self._lock = threading.Lock()
        try:
            network = keras.Model(model.inputs, output)
            network = fuse_upsampling(fold_batch_norm(network, (None, *size), dtype))
        except Exception as error:
            # Layers can raise anything.
            raise ValueError(_failure(size, error)) from error
        # Always replaced as a whole, so that other threads see the old graph or the new one.
        self._graph = _Graph(network, batch_size)

    @property
    def batch_size(self) -> int:
        """Number of images that the network runs on at once."""
        return self._graph.batch_size

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Segments images, ``batch_size`` at once.

        When memory runs out, the batch size is halved for good, down to 1.

        Args:
            images: uint8 (N, S, S, 3), RGB, N at least 1.

        Returns:
            float32 (N, S, S) in [0, 1].
        """
        while True:
            graph = self._graph
            try:
                return self._segment(images, graph)
            except Exception as error:
                if not (out_of_memory(error) and self._halve(graph)):
                    raise

    def _segment(self, images: np.ndarray, graph: _Graph) -> np.ndarray:
        maps = []
        for start in range(0, len(images), graph.batch_size):
            some = images[start : start + graph.batch_size]
            batch = np.zeros((graph.batch_size, *images.shape[1:]), np.uint8)
            batch[: len(some)] = some
            found = graph.maps(batch)
            if self.tta == "flip":
                # Two runs, since a batch of twice as many images would need twice the memory. A
                # copy, since not every backend takes an array with negative strides.
                mirrored = graph.maps(np.ascontiguousarray(batch[:, :, ::-1]))
                found = (found + mirrored[:, :, ::-1]) / 2
            maps.append(found[: len(some)])
        return np.concatenate(maps)

    def _halve(self, tried: _Graph) -> bool:
        """Halves the batch size, unless another thread has; returns whether it is smaller now."""
        with self._lock:
            if self._graph is tried and tried.batch_size > 1:
                self._graph = _Graph(tried.network, tried.batch_size // 2)
                logging.warning("out of memory, %d images at once from now on", self.batch_size)
            return self._graph is not tried

    def probe(self) -> None:
        """Checks the network by running it on one test image.

        Raises:
            ValueError: The network fails, the map is not of the image's size, or its values are not
                finite or not in [0, 1].
        """
        rng = np.random.default_rng(0)
        image = rng.integers(0, 256, (1, self.image_size, self.image_size, 3), dtype=np.uint8)
        # A ramp from black to white on the left, noise on the right.
        half = self.image_size // 2
        image[:, :, :half] = np.linspace(0, 255, self.image_size)[:, None, None]
        try:
            found = self(image)[0]
        except Exception as error:
            # Layers and backends can raise anything.
            raise ValueError(_failure(image.shape[1:], error)) from error
        if found.shape != image.shape[1:3]:
            raise ValueError(
                f"the model's map of an image {image.shape[1:3]} is {found.shape}; "
                "a map must be as large as the image"
            )
        if not np.isfinite(found).all():
            raise ValueError(
                "the model's map of a test image holds values that are not finite, "
                "as after a training that diverged; probabilities from 0 to 1 would do"
            )
        low, high = float(found.min()), float(found.max())
        if low < -ROUNDING or high > 1 + ROUNDING:
            raise ValueError(
                f"the model's map of a test image has values from {low:.4g} to {high:.4g}, "
                "probabilities are from 0 to 1; if these are logits, add a sigmoid"
            )


def out_of_memory(error: BaseException) -> bool:
    """Returns whether a network failed for want of memory, so that a smaller batch may succeed.

    Args:
        error: What the network raised.
    """
    if isinstance(error, MemoryError):
        return True
    # An error of TensorFlow's implies that TensorFlow is loaded.
    tensorflow = sys.modules.get("tensorflow")
    return tensorflow is not None and isinstance(error, tensorflow.errors.ResourceExhaustedError)


class _Graph:
    """A network's graph for batches of one size."""

    def __init__(self, network: keras.Model, batch_size: int):
        self.batch_size = batch_size
        # A model of its own, with the same weights, for each batch size: a function that has seen
        # batches of two sizes is compiled again, for any size, which is slower.
        self.network = keras.Model(network.inputs, network.outputs[0])
        if keras.backend.backend() == "tensorflow":
            # Keras compiles with XLA by default, which on CPUs takes 1.6 times as long in float32
            # and 4 times in bfloat16.
            self.network.jit_compile = False

    def maps(self, batch: np.ndarray) -> np.ndarray:
        # Pixels stay uint8 here; the graph casts them.
        maps = self.network.predict_on_batch(batch)
        return np.asarray(maps, np.float32)[..., 0]


def _first(model: keras.Model):
    # model.outputs sorts a dict by name, so use model.output, which a Sequential lacks.
    output = model.outputs if isinstance(model, keras.Sequential) else model.output
    while isinstance(output, dict | list | tuple):
        output = next(iter(output.values() if isinstance(output, dict) else output))
    return output


def _failure(size: tuple[int, ...], error: Exception) -> str:
    return f"the model fails on an image {size}: {one_line(error)}; another image_size may do"


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
