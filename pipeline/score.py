"""Masks to rows of metrics, and rows to the statistics of the data set."""

from __future__ import annotations

import time
from collections.abc import Iterator

import apache_beam as beam
import numpy as np
from apache_beam.metrics import Metrics
from apache_beam.pvalue import TaggedOutput

from pipeline.decode import decode_mask, decode_truth
from pipeline.metrics import compare, describe_mask
from pipeline.records import Failure, ImageRecord, MetricsRow
from pipeline.summary import DatasetStatistics, merge_all


def score(key: str, mask: str, prediction: np.ndarray, truth: bytes | None) -> MetricsRow:
    """The figures of one mask.

    Args:
        key: The image's key.
        mask: Where the mask is.
        prediction: uint8 (H, W), probability x 255.
        truth: The encoded ground truth. One that cannot be used leaves a row without its figures,
            of status ``"bad_truth"`` and with the reason as ``truth_error``.
    """
    height, width = prediction.shape
    values = describe_mask(prediction)
    if truth is None:
        return MetricsRow(key, mask, (width, height), "ok", values)
    try:
        comparison = compare(prediction, decode_truth(truth, (width, height)))
    except Exception as error:
        failure = Failure.of(key, "score", error)
        values |= {"truth_error": f"{failure.reason}: {failure.message}"}
        return MetricsRow(key, mask, (width, height), "bad_truth", values)
    return MetricsRow(
        key,
        mask,
        (width, height),
        "ok",
        values | comparison.values,
        comparison.f_curve,
        comparison.e_curve,
    )


class ScoreMasks(beam.PTransform):
    """``ImageRecord`` whose image is a mask to ``MetricsRow``; failures under ``"failures"``."""

    def expand(self, records):
        """Decodes and scores each record by itself."""
        return records | beam.ParDo(_Score()).with_outputs("failures", main="rows")


class _Score(beam.DoFn):
    def __init__(self):
        self.decoded = Metrics.counter("images", "decoded")
        self.seconds = Metrics.distribution("images", "decode_microseconds")

    def process(self, record: ImageRecord) -> Iterator[MetricsRow]:
        stage, start = "decode", time.perf_counter()
        try:
            prediction = decode_mask(record.image)
            self.decoded.inc()
            self.seconds.update(int(1e6 * (time.perf_counter() - start)))
            stage = "score"
            yield score(record.key, record.mask, prediction, record.truth)
        except Exception as error:
            yield TaggedOutput("failures", Failure.of(record.key, stage, error))


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
