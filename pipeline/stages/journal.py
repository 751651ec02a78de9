"""Writes the rows of finished images to the journal, so that a later run can go on from there."""

from __future__ import annotations

import time
from collections.abc import Iterator

import apache_beam as beam

from pipeline.records import MetricsRow
from pipeline.stages.outcomes import in_window
from pipeline.storage.journal_files import append
from pipeline.tally import hand_over, tallied

# A file is written after so many rows, or with the first row that comes so many seconds later.
ROWS = 64
SECONDS = 5.0


class WriteJournal(beam.PTransform):
    """Rows to the same rows. A row comes out once it is in the journal.

    Args:
        output: The output folder.
    """

    def __init__(self, output: str):
        super().__init__()
        self.output = output

    def expand(self, rows):
        """Gathers the rows of a bundle in files."""
        return rows | beam.ParDo(_Write(self.output))


class _Write(beam.DoFn):
    def __init__(self, output: str):
        self.output = output

    def start_bundle(self):
        self.rows: list[MetricsRow] = []
        self.since = time.monotonic()

    def process(self, row: MetricsRow) -> Iterator[MetricsRow]:
        self.rows.append(row)
        if len(self.rows) >= ROWS or time.monotonic() - self.since >= SECONDS:
            yield from self._flush()

    def finish_bundle(self) -> Iterator:
        if self.rows:
            yield from map(in_window, self._flush())

    def _flush(self) -> list[MetricsRow]:
        rows, self.rows, self.since = self.rows, [], time.monotonic()
        with tallied() as tally:
            append(self.output, rows)
        hand_over(tally)
        return rows
