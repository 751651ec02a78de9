"""Masks to rows of metrics."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING

import apache_beam as beam
import numpy as np

from pipeline.failures import Attempt, Failure, attempt
from pipeline.images.memory import room_for
from pipeline.images.open_safely import MAX_PIXELS
from pipeline.images.truth import decode_mask, decode_truth
from pipeline.records import ImageRecord, Item, MetricsRow, Truth
from pipeline.stages.outcomes import Outcome, split_attempts
from pipeline.stages.threads import InThreads

# Enough to keep the threads busy while Beam takes the results.
WINDOW = 8

if TYPE_CHECKING:
    from model.metrics.pair import Comparison


class ScoreMasks(beam.PTransform):
    """``ImageRecord`` whose image is a mask to ``MetricsRow``.

    Args:
        processes: As for ``InThreads``.
        max_pixels: Most pixels of a mask.
    """

    def __init__(self, processes: int, max_pixels: int):
        super().__init__()
        self.processes = processes
        self.max_pixels = max_pixels

    def expand(self, records) -> Outcome:
        """Decodes and scores each record by itself."""
        function = functools.partial(score_stored, max_pixels=self.max_pixels)
        threads = InThreads(function, WINDOW, "score", "scored", self.processes)
        return split_attempts(records, "InThreads", threads)


def score_stored(record: ImageRecord, max_pixels: int = MAX_PIXELS) -> Attempt[MetricsRow]:
    """The figures of a mask as it is stored."""
    key = record.item.key
    decoded = attempt("decode", key, decode_mask, record.image, max_pixels)
    if decoded.failure is not None:
        return decoded
    with room_for(decoded.result.size):
        return attempt("score", key, score, record.item, decoded.result, max_pixels)


def score(item: Item, prediction: np.ndarray, max_pixels: int = MAX_PIXELS) -> MetricsRow:
    """The figures of one mask.

    Args:
        item: What the mask is of. A ground truth that cannot be used leaves a row without its
            figures, of status ``"bad_truth"`` and with the reason as ``truth_error``.
        prediction: uint8 (H, W), probability x 255.
        max_pixels: Most pixels of a ground truth.
    """
    height, width = prediction.shape
    # Imported here, after the first mask is written, because SciPy takes long.
    from model.metrics.pair import describe_mask

    size, values = (width, height), describe_mask(prediction)
    if item.guess:
        values["guess"] = item.guess
    row = MetricsRow(item.without_truth(), size, "ok", values)
    if item.truth is None:
        return row
    compared = _compare(item.key, prediction, item.truth, max_pixels)
    if compared.failure is not None:
        return _without_figures(row, compared.failure)
    comparison = compared.result
    counts = comparison.counts.to_bytes()
    return replace(row, values=values | comparison.values, level_counts=counts)


def _compare(
    key: str, prediction: np.ndarray, truth: Truth, max_pixels: int
) -> Attempt[Comparison]:
    if truth.failure is not None:
        return Attempt(failure=truth.failure)
    size = prediction.shape[::-1]
    decoded = attempt("score", key, decode_truth, truth.encoded, size, max_pixels)
    if decoded.failure is not None:
        return decoded
    from model.metrics.pair import compare

    return attempt("score", key, compare, prediction, decoded.result)


def _without_figures(row: MetricsRow, failure: Failure) -> MetricsRow:
    values = row.values | {"truth_error": f"{failure.reason}: {failure.message}"}
    return replace(row, status="bad_truth", values=values)
