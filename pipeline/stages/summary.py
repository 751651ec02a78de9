"""Rows and failures to the summary of the job."""

from __future__ import annotations

import json
from collections.abc import Mapping

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.pvalue import AsDict, AsSingleton

from model.metrics.data_set import DatasetStatistics, merge_all
from pipeline.failures import Failure
from pipeline.output_layout import SUMMARY
from pipeline.records import MetricsRow
from pipeline.storage.files import write_file


class WriteSummary(beam.PTransform):
    """(rows, failures) to ``summary.json``.

    Args:
        output: The output folder.
    """

    def __init__(self, output: str):
        super().__init__()
        self.output = output

    def expand(self, rows_and_failures):
        """Merges the statistics of rows, counts reasons, writes."""
        rows, failures = rows_and_failures
        statistics = rows | "Statistics" >> beam.CombineGlobally(MergeRows())
        reasons = failures | "Reason" >> beam.Map(_reason) | beam.combiners.Count.PerElement()
        bad_truths = (
            rows
            | "BadTruths" >> beam.Filter(lambda row: row.status == "bad_truth")
            | "CountBadTruths" >> beam.combiners.Count.Globally()
        )
        return statistics | "Write" >> beam.Map(
            write_summary, AsDict(reasons), AsSingleton(bad_truths), self.output
        )


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


def write_summary(
    statistics: DatasetStatistics, failures: Mapping[str, int], bad_truths: int, output: str
) -> None:
    """Writes ``summary.json``.

    Args:
        statistics: Of the images that have a mask.
        failures: Reason to number of the images that have none.
        bad_truths: Number of images whose truth could not be used.
        output: The output folder.
    """
    values = statistics.result()
    done, failed = values.pop("images"), sum(failures.values())
    summary = {
        "images": done + failed,
        "masks": done,
        "failed": failed,
        "failures": dict(sorted(failures.items())),
        "bad_truths": bad_truths,
        **values,
    }
    write_file(output, SUMMARY, json.dumps(summary, indent=2).encode() + b"\n")


def _reason(failure: Failure) -> str:
    Metrics.counter("failures", failure.reason).inc()
    return failure.reason
