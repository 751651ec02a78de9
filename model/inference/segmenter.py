"""Segments batches of images with a network, as the pipeline does."""

from __future__ import annotations

import logging
import sys
import threading
from typing import TYPE_CHECKING, Protocol

import numpy as np

from model.inference.error_line import fails
from model.precision import dtype_of

if TYPE_CHECKING:
    import keras
    import openvino

TTA = ("none", "flip")

# How far a probability may be outside [0, 1]: interpolation rounds, and no mask shows it.
ROUNDING = 1e-3


class Network(Protocol):
    """A network as an engine runs it."""

    batch_size: int
    device: str

    def halved(self) -> Network:
        """Returns the same network for half as many images at once."""

    def maps(self, images: np.ndarray) -> np.ndarray:
        """Maps uint8 (N, S, S, 3) to float32 (N, S, S)."""


class Segmenter:
    """A network that is optimised for one image size and one batch size.

    Only its first output is computed. It has weights of its own, with batch normalisation folded
    into the convolutions. Threads may share it.

    Args:
        model: A Keras network from pixels in [0, 255], (N, H, W, 3), whose first output is a
            probability map (N, H, W, 1). Outputs in a dict have the order of the dict. Or what
            ``load_for_openvino`` returns, which OpenVINO runs. The model is neither changed nor
            kept.
        image_size: Side S of the images, in pixels.
        batch_size: Most images that the network runs on at once. A map does not depend on how
            many there are.
        tta: Test-time augmentation, one of ``TTA``. ``"flip"`` averages the maps of the image and
            of its mirror image, which takes twice the time.
        precision: What the network computes in, one of ``model.precision.PRECISIONS``. Maps are
            always float32.
        threads: Cores that OpenVINO may use; 0 for all. TensorFlow's are set for the process, see
            ``ready_tensorflow``.

    Attributes:
        device: Where it computes, ``"cpu"`` or ``"gpu"``.

    Raises:
        ValueError: The network does not take such images, its first output is no such map, or the
            augmentation or precision is unknown.
    """

    def __init__(
        self,
        model: keras.Model | openvino.Model,
        image_size: int,
        batch_size: int,
        tta: str = "none",
        precision: str = "float32",
        threads: int = 0,
    ):
        if tta not in TTA:
            raise ValueError(f"tta must be one of {', '.join(TTA)}; got {tta!r}")
        self.image_size = image_size
        self.tta = tta
        self._lock = threading.Lock()
        # Always replaced as a whole, so that other threads see the old network or the new one.
        self._network = _network(model, image_size, batch_size, precision, threads)
        self.device = self._network.device

    @property
    def batch_size(self) -> int:
        """Number of images that the network runs on at once."""
        return self._network.batch_size

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Segments images, ``batch_size`` at once.

        When memory runs out, the batch size is halved for good, down to 1.

        Args:
            images: uint8 (N, S, S, 3), RGB, N at least 1.

        Returns:
            float32 (N, S, S) in [0, 1].
        """
        while True:
            network = self._network
            try:
                maps = network.maps(images)
                if self.tta == "flip":
                    # Two runs, since a batch of twice as many images would need twice the memory. A
                    # copy, since not every engine takes an array with negative strides.
                    mirrored = network.maps(np.ascontiguousarray(images[:, :, ::-1]))
                    maps = (maps + mirrored[:, :, ::-1]) / 2
                return maps
            except Exception as error:
                if not (out_of_memory(error) and self._halve(network)):
                    raise

    def _halve(self, tried: Network) -> bool:
        """Halves the batch size, unless another thread has; returns whether it is smaller now."""
        with self._lock:
            if self._network is tried and tried.batch_size > 1:
                self._network = tried.halved()
                logging.warning("out of memory, %d images at once from now on", self.batch_size)
            return self._network is not tried

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
            raise ValueError(fails(image.shape[1:], error)) from error
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
    # What OpenVINO hands on of its libraries'.
    if type(error) is RuntimeError and "bad_alloc" in str(error):
        return True
    # An error of TensorFlow's implies that TensorFlow is loaded.
    tensorflow = sys.modules.get("tensorflow")
    return tensorflow is not None and isinstance(error, tensorflow.errors.ResourceExhaustedError)


def _network(
    model: keras.Model | openvino.Model,
    image_size: int,
    batch_size: int,
    precision: str,
    threads: int,
) -> Network:
    # Imported here because each engine needs its own libraries alone. A model of OpenVINO's implies
    # that OpenVINO is loaded.
    loaded = sys.modules.get("openvino")
    if loaded is not None and isinstance(model, loaded.Model):
        from model.inference.openvino_network import OpenVinoNetwork

        return OpenVinoNetwork(model, batch_size, dtype_of(precision, "openvino"), threads)
    from model.inference.keras_network import KerasNetwork, made_faster

    return KerasNetwork(made_faster(model, image_size, dtype_of(precision)), batch_size)
