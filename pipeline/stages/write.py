"""Predictions to masks on storage, and to rows of metrics."""

from __future__ import annotations

import functools

import apache_beam as beam
import numpy as np

from pipeline.failures import Attempt, attempt
from pipeline.images.cutout import cut_out
from pipeline.images.mask import encode_mask, full_size_mask
from pipeline.images.memory import room_for
from pipeline.images.overlay import draw_overlay
from pipeline.job_settings import Job
from pipeline.records import MetricsRow, Prediction
from pipeline.stages.outcomes import Outcome, split_attempts
from pipeline.stages.score import score
from pipeline.stages.threads import InThreads
from pipeline.storage.files import write_file
from pipeline.storage.mask_names import cutout_of, overlay_of
from pipeline.storage.mask_parts import EncodedMask


class WriteAndScore(beam.PTransform):
    """``Prediction`` to a mask on storage and a ``MetricsRow``; for shards, to ``EncodedMask``.

    Both in one stage, so that no mask at full size passes from one stage to the next.

    Args:
        job: The settings.
        window: Most predictions that wait to be written.
    """

    def __init__(self, job: Job, window: int):
        super().__init__()
        self.job = job
        self.window = window

    def expand(self, predictions) -> Outcome:
        """Writes and scores each prediction by itself."""
        function = functools.partial(write_and_score, job=self.job)
        threads = InThreads(function, self.window, "write", "written", self.job.processes)
        return split_attempts(predictions, "InThreads", threads)


def write_and_score(prediction: Prediction, job: Job) -> Attempt[MetricsRow | EncodedMask]:
    """Writes the mask of a prediction and what is wanted beside it, then scores the mask.

    Args:
        prediction: A map at the network's size.
        job: The settings.

    Returns:
        The row; for shards, with the encoded mask, which is not written yet.
    """
    item, (width, height) = prediction.item, prediction.size
    with room_for(width * height):
        written = attempt("write", item.key, write_mask, prediction, job)
        if written.failure is not None:
            return written
        mask, encoded = written.result
        scored = attempt("score", item.key, score, item, mask, job.max_pixels)
    if scored.failure is not None or not job.in_shards:
        return scored
    return Attempt(EncodedMask(scored.result, encoded, item.photo if job.with_images else b""))


def write_mask(prediction: Prediction, job: Job) -> tuple[np.ndarray, bytes]:
    """Writes the mask of a prediction at the size of its image, unless it is for a shard.

    What is written beside a mask is written before it: so where a mask is, all is.

    Args:
        prediction: A map at the network's size.
        job: The settings.

    Returns:
        The mask, uint8 (height, width), and the same as PNG.

    Raises:
        OutputLost: Nothing can be written to the output folder.
        OSError: A file could not be written.
        BadImage: The photo cannot be decoded at full size, or written as it is wanted.
    """
    item = prediction.item
    mask = full_size_mask(prediction.probability, prediction.size, job.threshold)
    if job.cutouts:
        cutout = cut_out(item.photo, mask, job.cutouts, job.max_pixels)
        write_file(job.output, cutout_of(item.mask, job.cutouts), cutout)
    if job.overlays:
        overlay = draw_overlay(item.photo, mask, job.max_pixels)
        write_file(job.output, overlay_of(item.mask), overlay)
    encoded = encode_mask(mask, binary=job.threshold is not None)
    if not job.in_shards:
        write_file(job.output, item.mask, encoded)
    return mask, encoded
