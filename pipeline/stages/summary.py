"""Rows and failures to the summary of the job."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.pvalue import AsDict, AsSingleton

from model.metrics.counts import LevelCounts
from model.metrics.data_set import DatasetStatistics, merge_all
from pipeline.failures import Failure
from pipeline.output_layout import SUMMARY
from pipeline.records import MetricsRow
from pipeline.storage.files import write_file
from pipeline.storage.shards import INDEX


class WriteSummary(beam.PTransform):
    """(rows, failures, notes) to ``summary.json``.

    Args:
        output: The output folder.
        after: What is to be written before it: once the summary is there, all else is.
    """

    def __init__(self, output: str, after: beam.PCollection):
        super().__init__()
        self.output = output
        self.after = after

    def expand(self, rows_failures_notes):
        """Merges the statistics of rows, counts reasons and notes, writes."""
        rows, failures, notes = rows_failures_notes
        statistics = rows | "Statistics" >> beam.CombineGlobally(MergeRows())
        reasons = failures | "Reason" >> beam.Map(_reason) | beam.combiners.Count.PerElement()
        bad_truths = (
            rows
            | "BadTruths" >> beam.Filter(lambda row: row.status == "bad_truth")
            | "CountBadTruths" >> beam.combiners.Count.Globally()
        )
        noted = (
            notes
            | "Note" >> beam.Map(lambda note: (note.kind, (note.count, note.example)))
            | "CountNotes" >> beam.CombinePerKey(count_and_example)
        )
        lost_shards = (
            failures
            | "LostShards" >> beam.Filter(lambda failure: failure.stage == INDEX)
            | "CountLostShards" >> beam.combiners.Count.Globally()
        )
        return statistics | "Write" >> beam.Map(
            write_summary,
            AsDict(reasons),
            AsSingleton(bad_truths),
            AsSingleton(lost_shards),
            AsDict(noted),
            self.output,
            AsSingleton(self.after | "Written" >> beam.combiners.Count.Globally()),
        )


class MergeRows(beam.CombineFn):
    """``MetricsRow`` to ``DatasetStatistics``, in memory that does not grow with their number."""

    def create_accumulator(self) -> DatasetStatistics:
        """The statistics of no image."""
        return DatasetStatistics.empty()

    def add_input(self, statistics: DatasetStatistics, row: MetricsRow) -> DatasetStatistics:
        """Adds an image."""
        if row.level_counts is None:
            return statistics.add_row(row.values)
        counts = LevelCounts.from_bytes(row.level_counts)
        return statistics.add_row(row.values, counts.f_curve(), counts.e_curve())

    def merge_accumulators(self, parts) -> DatasetStatistics:
        """Merges what bundles or workers have gathered."""
        return merge_all(parts)

    def extract_output(self, statistics: DatasetStatistics) -> DatasetStatistics:
        """The statistics as they are."""
        return statistics


def write_summary(
    statistics: DatasetStatistics,
    failures: Mapping[str, int],
    bad_truths: int,
    lost_shards: int,
    notes: Mapping[str, tuple[int, str]],
    output: str,
    written: int = 0,
) -> None:
    """Writes ``summary.json``.

    Args:
        statistics: Of the images that have a mask.
        failures: Reason to number of the images that have none.
        bad_truths: Number of images whose truth could not be used.
        lost_shards: Number of shards that could not be read, or not to their end. Nobody knows how
            many images they hold; each counts as one failure.
        notes: What is said of the input to the number of cases and an example.
        output: The output folder.
        written: Number of the files that had to be written before.
    """
    values = statistics.result()
    done, failed = values.pop("images"), sum(failures.values())
    summary = {
        "images": done + failed,
        "masks": done,
        "failed": failed,
        "failures": dict(sorted(failures.items())),
        "lost_shards": lost_shards,
        "bad_truths": bad_truths,
        "notes": {
            kind: {"count": count, "example": example}
            for kind, (count, example) in sorted(notes.items())
        },
        **values,
    }
    write_file(output, SUMMARY, json.dumps(summary, indent=2).encode() + b"\n")


def count_and_example(cases: Iterable[tuple[int, str]]) -> tuple[int, str]:
    """The number of cases, and the first example in the order of names."""
    counts, examples = zip(*cases, strict=True)
    return sum(counts), min(examples)


def _reason(failure: Failure) -> str:
    Metrics.counter("failures", failure.reason).inc()
    return failure.reason
