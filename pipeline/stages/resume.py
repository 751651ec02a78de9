"""Leaves out the images that an earlier run has finished, and brings their rows instead."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.metrics import Metrics
from apache_beam.pvalue import AsDict

from pipeline.failures import Attempt, Failure, attempt
from pipeline.records import ImageRecord, MetricsRow
from pipeline.stages.outcomes import split_attempts
from pipeline.stages.timed_reads import TimedReads
from pipeline.storage.journal_files import journal_files, read_rows, withdraw

AT_ONCE = 8
# Name of the counter of images that an earlier run has finished.
KEPT = "kept"


class Resumed(NamedTuple):
    """An ``Outcome``, and the rows of the images that were left out.

    Attributes:
        results: ``ImageRecord`` of the images that are to be done.
        failures: ``Failure`` of the images whose mask could not be looked at.
        rows: ``MetricsRow`` of the images that are finished.
    """

    results: beam.PCollection
    failures: beam.PCollection
    rows: beam.PCollection


@dataclass(frozen=True)
class Compared:
    """An image that was compared with the journal.

    Attributes:
        image: The image.
        finished: Whether its mask and row are there and belong to what the image is now.
    """

    image: ImageRecord
    finished: bool


class Resume(beam.PTransform):
    """``ImageRecord`` to those that are not finished.

    Args:
        output: The output folder.
        scores: Whether the job scores existing masks. They are inputs then, so neither are they
            missed when they are gone, nor is a row withdrawn before a mask is written anew.
        timeout: Seconds that a look at a mask may take.
    """

    def __init__(self, output: str, scores: bool, timeout: float):
        super().__init__()
        self.output = output
        self.scores = scores
        self.timeout = timeout

    def expand(self, images) -> Resumed:
        """Reads the journal, compares each image with it, and fetches the rows of the finished."""
        rows = images.pipeline | "ReadJournal" >> ReadJournal(self.output)
        contents = rows | "Contents" >> beam.MapTuple(lambda mask, row: (mask, row.item.content))
        function = functools.partial(compare, output=self.output, scores=self.scores)
        compared = split_attempts(
            images, "Compare", _comparing(function, self.timeout), AsDict(contents)
        )
        unfinished, finished = compared.results | beam.Partition(
            lambda one, _: int(one.finished), 2
        )
        masks = finished | "Finished" >> beam.Map(_finished_mask)
        kept = (
            {"finished": masks, "rows": rows}
            | "Join" >> beam.CoGroupByKey()
            | "Kept" >> beam.FlatMapTuple(lambda _, at: at["rows"] if at["finished"] else ())
        )
        todo = unfinished | "Unfinished" >> beam.Map(lambda one: one.image)
        return Resumed(todo, compared.failures, kept)


class ReadJournal(beam.PTransform):
    """What earlier runs have finished: (path of a mask, ``MetricsRow``), each mask once.

    Args:
        output: The output folder.
    """

    def __init__(self, output: str):
        super().__init__()
        self.output = output

    def expand(self, begin):
        """Lists, reads, and keeps the newest row of each mask."""
        return (
            begin
            | beam.Create([self.output])
            | "List" >> beam.FlatMap(journal_files)
            | beam.Reshuffle()
            | "Rows" >> beam.FlatMap(_rows)
            | beam.CombinePerKey(_newest)
            | "Newest" >> beam.MapTuple(lambda mask, entry: (mask, entry[1]))
        )


def compare(
    image: ImageRecord, contents: Mapping[str, str], output: str, scores: bool
) -> Iterator[Attempt[Compared]]:
    """Compares an image with what an earlier run has finished.

    Args:
        image: The image as it is now.
        contents: Path of a mask to the content that it was made of.
        output: The output folder.
        scores: As for ``Resume``.
    """
    content, item = contents.get(image.item.mask, ""), image.item
    truth_failure = item.truth.failure if item.truth else None
    if content and content != item.content and truth_failure is not None:
        # The finished row has figures. Without its truth the image would get a poorer one.
        yield Attempt(failure=truth_failure)
    else:
        yield attempt("read", item.key, _compared, image, contents, output, scores)


def _compared(
    image: ImageRecord, contents: Mapping[str, str], output: str, scores: bool
) -> Compared:
    item = image.item
    content = contents.get(item.mask)
    if content is None:
        return Compared(image, finished=False)
    if content == item.content:
        there = scores or FileSystems.exists(FileSystems.join(output, item.mask))
        return Compared(image, finished=there)
    if not scores:
        withdraw(output, item.key, item.mask)
    return Compared(image, finished=False)


def _finished_mask(compared: Compared) -> tuple[str, None]:
    Metrics.counter("images", KEPT).inc()
    return compared.image.item.mask, None


def _rest(image: ImageRecord, _: int, error: Exception) -> Iterator[Attempt]:
    yield Attempt(failure=Failure.of(image.item.key, "read", error))


def _comparing(function, timeout: float) -> TimedReads:
    return TimedReads(
        function,
        ahead=AT_ONCE,
        at_once=AT_ONCE,
        name="compare",
        timeout=timeout,
        on_timeout=_rest,
    )


def _rows(path: str) -> Iterator[tuple[str, tuple[str, MetricsRow]]]:
    for row in read_rows(path):
        yield row.item.mask, (path, row)


def _newest(entries: Iterable[tuple[str, MetricsRow]]) -> tuple[str, MetricsRow]:
    """Of rows of one mask, each with its file, the one that was written last."""
    return max(entries, key=lambda entry: entry[0])
