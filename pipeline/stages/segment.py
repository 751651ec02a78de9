"""Decoded images to probability maps, in batches, with one copy of the network a process."""

from __future__ import annotations

import contextlib
import functools
import logging
import socket
import time
from collections.abc import Callable, Iterator
from typing import Protocol

import apache_beam as beam
import numpy as np
from apache_beam.metrics import Metrics
from apache_beam.utils.shared import Shared

from model.inference.segmenter import ROUNDING
from pipeline.failures import Attempt, BadImage, BrokenWorker, EndsJob, Failure, attempt
from pipeline.images.photo import is_flat
from pipeline.progress_counts import count
from pipeline.records import DecodedImage, Prediction
from pipeline.stages.load_network import loaded_network
from pipeline.stages.outcomes import Outcome, emit, in_window, split_attempts


class Network(Protocol):
    """What is asked of a ``Segmenter``."""

    device: str

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Maps uint8 (N, S, S, 3) to float32 (N, S, S) in [0, 1]."""

    def probe(self) -> None:
        """Raises if the network does not segment an image that is known to be good."""


def segment(images: list[DecodedImage], network: Network) -> Iterator[Attempt[Prediction]]:
    """Runs the network on a batch, and image by image if the batch fails.

    A photo of one colour has no object. It gets an empty map without asking the network, which may
    see things there.

    Raises:
        BrokenWorker: Images fail, and so does one that is known to be good.
    """
    asked = []
    for image in images:
        if is_flat(image.pixels):
            empty = np.zeros(image.pixels.shape[:2], np.float32)
            yield Attempt(Prediction(image.item, empty, image.size))
        else:
            asked.append(image)
    if not asked:
        return
    answers = list(_ask(asked, network))
    failure = next((one.failure for one in answers if one.failure is not None), None)
    if failure is not None:
        _check_worker(network, failure)
    yield from answers


def _check_worker(network: Network, failure: Failure) -> None:
    try:
        network.probe()
    except Exception as error:
        raise _broken(
            f"the network fails on {failure.key!r}, and on a test image", error
        ) from error


def _broken(what: str, error: Exception) -> BrokenWorker:
    why = (str(error).splitlines() or [""])[0] or type(error).__name__
    return BrokenWorker(f"worker {socket.gethostname()} is broken: {what}: {why}")


def _ask(images: list[DecodedImage], network: Network) -> Iterator[Attempt[Prediction]]:
    batch = attempt("segment", images[0].item.key, _maps, images, network)
    if batch.failure is None:
        for image, probability in zip(images, batch.result, strict=True):
            yield attempt("segment", image.item.key, _prediction, image, probability)
    elif len(images) == 1:
        yield batch
    else:
        logging.warning("a batch of %d failed, its images follow one by one", len(images))
        for image in images:
            yield from _ask([image], network)


def _maps(images: list[DecodedImage], network: Network) -> np.ndarray:
    maps = network(np.stack([image.pixels for image in images]))
    if len(maps) != len(images):
        raise ValueError(f"the network gave {len(maps)} maps for {len(images)} images")
    return maps


def _prediction(image: DecodedImage, probability: np.ndarray) -> Prediction:
    low, high = float(probability.min()), float(probability.max())
    if low >= -ROUNDING and high <= 1 + ROUNDING:
        return Prediction(image.item, probability, image.size)
    if np.isfinite(probability).all():
        what = f"the network's map goes from {low:.3g} to {high:.3g}; probabilities would do"
        raise BadImage("no_probability", what)
    raise BadImage("not_finite", "the network's map holds values that are no numbers")


class SegmentImages(beam.PTransform):
    """``DecodedImage`` to ``Prediction``.

    Args:
        load: Makes the network, once in each process.
        batch_size: Most images in a batch.
    """

    def __init__(self, load: Callable[[], Network], batch_size: int):
        super().__init__()
        self.load = load
        self.batch_size = batch_size

    def expand(self, images) -> Outcome:
        """Batches what a bundle brings."""
        return split_attempts(images, "Batches", _Segment(self.load, self.batch_size))


class _Segment(beam.DoFn):
    def __init__(self, load: Callable[[], Network], batch_size: int):
        self.load = load
        self.batch_size = batch_size
        self.shared = Shared()
        self.segmented = Metrics.counter("images", "segmented")
        self.pixels = Metrics.counter("images", "pixels")
        self.load_microseconds = Metrics.distribution("images", "load_microseconds")
        self.microseconds = Metrics.distribution("images", "inference_microseconds")
        self.sizes = Metrics.distribution("images", "batch_size")

    def setup(self):
        # Beam sets up many DoFns in a process. They share one network.
        self.loaded = self.shared.acquire(functools.partial(_Loaded, self.load))
        self.network = self.loaded.network
        self.on_device = Metrics.counter("images", f"segmented_on_{self.network.device}")

    def start_bundle(self):
        self.waiting: list[DecodedImage] = []

    def process(self, image: DecodedImage) -> Iterator:
        self.waiting.append(image)
        if len(self.waiting) == self.batch_size:
            yield from self._flush()

    def finish_bundle(self) -> Iterator:
        if self.waiting:
            yield from map(in_window, self._flush())

    def _flush(self) -> Iterator:
        batch, self.waiting = self.waiting, []
        start = time.perf_counter()
        try:
            attempts = list(segment(batch, self.network))
        except BrokenWorker:
            # When the bundle is tried again here, the network is loaded anew.
            loaded_network.cache_clear()
            raise
        if seconds := self.loaded.seconds_once():
            self.load_microseconds.update(int(1e6 * seconds))
        self.microseconds.update(int(1e6 * (time.perf_counter() - start)))
        self.sizes.update(len(batch))
        for one in attempts:
            if one.failure is None:
                self.segmented.inc()
                self.on_device.inc()
                self.pixels.inc(one.result.size[0] * one.result.size[1])
            yield emit(one)


class _Loaded:
    """A network, and how long it took to load."""

    def __init__(self, load: Callable[[], Network]):
        begun = time.perf_counter()
        count("loading")
        try:
            self.network = load()
        except EndsJob:
            raise
        except Exception as error:
            raise _broken("it has no network", error) from error
        finally:
            count("loading", -1)
        self._seconds = [time.perf_counter() - begun]

    def seconds_once(self) -> float | None:
        """How long it took, to the first that asks: in a process, many share one network."""
        with contextlib.suppress(IndexError):
            return self._seconds.pop()
        return None
