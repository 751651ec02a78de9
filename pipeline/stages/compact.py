"""Puts the small files of the journal together, at the end of a job."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import apache_beam as beam
from apache_beam.pvalue import AsSingleton

from pipeline.storage.journal_files import compact, drop_running, running_files
from pipeline.storage.running_mark import drop_mark_of_template


class CompactJournal(beam.PTransform):
    """What is there once all rows are in the journal, to a journal of few files.

    Args:
        output: The output folder.
    """

    def __init__(self, output: str):
        super().__init__()
        self.output = output

    def expand(self, done):
        """Groups the files by size, writes each group to one file, then removes them."""
        written = (
            done
            | "Done" >> beam.combiners.Count.Globally()
            | "Groups" >> beam.FlatMap(functools.partial(_groups, output=self.output))
            | beam.Reshuffle()
            | "Compact" >> beam.Map(functools.partial(_compact, output=self.output))
            | "Written" >> beam.combiners.Count.Globally()
        )
        return (
            done.pipeline
            | beam.Create([self.output])
            | "Drop" >> beam.Map(_drop, AsSingleton(written))
        )


def _groups(_: int, output: str) -> Iterator[list[str]]:
    yield from running_files(output)


def _compact(paths: list[str], output: str) -> None:
    compact(output, paths)


def _drop(output: str, _: int) -> None:
    drop_running(output)
    drop_mark_of_template(output)
