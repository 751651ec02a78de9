"""Rows to the review list."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import replace

import apache_beam as beam

from pipeline.job_settings import Job
from pipeline.output_layout import REVIEW_LIST
from pipeline.records import MetricsRow
from pipeline.report.review import MOST, encode_list, order
from pipeline.report.top import Top
from pipeline.storage.files import write_file


class WriteReview(beam.PTransform):
    """``MetricsRow`` to ``review.csv``.

    Args:
        job: The settings.
    """

    def __init__(self, job: Job):
        super().__init__()
        self.job = job

    def expand(self, rows):
        """Keeps the first of the list, and writes it."""
        first = rows | "First" >> beam.CombineGlobally(FirstRows(MOST))
        return first | "Write" >> beam.Map(functools.partial(_write_list, output=self.job.output))


class FirstRows(beam.CombineFn):
    """``MetricsRow`` to the list of those that come first in the review list.

    Args:
        most: How many.
    """

    def __init__(self, most: int):
        self.most = most

    def create_accumulator(self) -> Top:
        """No rows."""
        return Top(self.most)

    def add_input(self, top: Top, row: MetricsRow) -> Top:
        """Adds a row."""
        top.add(order(row), replace(row, level_counts=None))
        return top

    def merge_accumulators(self, parts: Iterable[Top]) -> Top:
        """Merges what bundles or workers have kept."""
        return Top(self.most).merge(parts)

    def extract_output(self, top: Top) -> list[MetricsRow]:
        """The rows, in their order."""
        return top.elements()


def _write_list(rows: list[MetricsRow], output: str) -> None:
    write_file(output, REVIEW_LIST, encode_list(rows, overlays=0))
