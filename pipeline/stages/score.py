"""Masks to rows of metrics, and rows to the statistics of the data set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import apache_beam as beam
import numpy as np

from model.metrics.data_set import DatasetStatistics, merge_all
from model.metrics.pair import compare, describe_mask
from pipeline.images.truth import decode_mask, decode_truth
from pipeline.records import TAGS, Failure, ImageRecord, MetricsRow, Prediction
from pipeline.stages.threads import CORES, InThreads, room_for


def score(image: ImageRecord | Prediction, prediction: np.ndarray) -> MetricsRow:
    """The figures of one mask.

    Args:
        image: What the mask is of. A ground truth that cannot be used leaves a row without its
            figures, of status ``"bad_truth"`` and with the reason as ``truth_error``.
        prediction: uint8 (H, W), probability x 255.
    """
    height, width = prediction.shape
    values = describe_mask(prediction)
    row = MetricsRow(image.key, image.mask, (width, height), "ok", values, content=image.content)
    if image.truth is None:
        return row
    if isinstance(image.truth, Failure):
        return _without_truth(row, image.truth)
    try:
        comparison = compare(prediction, decode_truth(image.truth, (width, height)))
    except Exception as error:
        return _without_truth(row, Failure.of(image.key, "score", error))
    return replace(
        row,
        values=values | comparison.values,
        f_curve=comparison.f_curve,
        e_curve=comparison.e_curve,
    )


def _without_truth(row: MetricsRow, failure: Failure) -> MetricsRow:
    values = row.values | {"truth_error": f"{failure.reason}: {failure.message}"}
    return replace(row, status="bad_truth", values=values)


class ScoreMasks(beam.PTransform):
    """``ImageRecord`` whose image is a mask to ``MetricsRow``; failures under ``"failures"``."""

    def expand(self, records):
        """Decodes and scores each record by itself."""
        scored = beam.ParDo(InThreads(score_record, 2 * CORES, CORES, TAGS, "score", "scored"))
        return records | scored.with_outputs("failures", main="rows")


def score_record(record: ImageRecord) -> Iterator[MetricsRow | Failure]:
    """The figures of a mask as it is stored."""
    stage = "decode"
    try:
        prediction = decode_mask(record.image)
        stage = "score"
        with room_for(prediction.size):
            row = score(record, prediction)
        yield row
    except Exception as error:
        yield Failure.of(record.key, stage, error)


class MergeRows(beam.CombineFn):
    """``MetricsRow`` to ``DatasetStatistics``, in memory that does not grow with their number."""

    def create_accumulator(self) -> DatasetStatistics:
        """The statistics of no image."""
        return DatasetStatistics.empty()

    def add_input(self, statistics: DatasetStatistics, row: MetricsRow) -> DatasetStatistics:
        """Adds an image."""
        return statistics.add_row(row.values, row.f_curve, row.e_curve)

    def merge_accumulators(self, parts) -> DatasetStatistics:
        """Merges what bundles or workers have gathered."""
        return merge_all(parts)

    def extract_output(self, statistics: DatasetStatistics) -> DatasetStatistics:
        """The statistics as they are."""
        return statistics
