"""Leaves out the sources that an earlier run has finished, and brings their rows instead.

No image is read for that: what the listing says of a source is compared with what it said then.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import NamedTuple

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.metrics import Metrics
from apache_beam.pvalue import TaggedOutput

from pipeline.failures import Attempt, OutputLost, attempt
from pipeline.records import Finished, MetricsRow, Source
from pipeline.stages.blocks import GroupInBlocks
from pipeline.stages.outcomes import FAILURES, emit, in_window
from pipeline.storage.errors import persistently
from pipeline.storage.journal_files import journal_files, newest, read_lines

# Name of the counter of images that an earlier run has finished.
KEPT = "kept"
# Tag of their rows.
ROWS = "rows"
# About so many masks are looked for together, and how many at the same time.
TOGETHER = 512
AT_ONCE = 16


class Resumed(NamedTuple):
    """An ``Outcome``, and the rows of what was left out.

    Attributes:
        results: ``Source`` of what is to be read, with what is finished of it.
        failures: ``Failure`` of the sources whose masks could not be looked for.
        rows: ``MetricsRow`` of the images that are finished.
    """

    results: beam.PCollection
    failures: beam.PCollection
    rows: beam.PCollection


@dataclass(frozen=True)
class Compared:
    """A source that was compared with the journal.

    Attributes:
        source: What is to be read, with what there is of it; None if it is finished.
        rows: The rows of all images of it, if all are finished; else none.
    """

    source: Source | None
    rows: tuple[MetricsRow, ...] = ()


class Resume(beam.PTransform):
    """``Source`` to those that are not finished.

    Args:
        output: The output folder.
        scores: Whether the job scores existing masks. They are inputs then, so that they are not
            missed when they are gone.
        verify: Whether all are to be read and compared, even if their listing is what it was.
    """

    def __init__(self, output: str, *, scores: bool, verify: bool):
        super().__init__()
        self.output = output
        self.scores = scores
        self.verify = verify

    def expand(self, sources) -> Resumed:
        """Reads the journal and joins it with the sources."""
        rows = (
            sources.pipeline
            | beam.Create([self.output])
            | "ListJournal" >> beam.FlatMap(journal_files)
            | beam.Reshuffle()
            | "ReadJournal" >> beam.FlatMap(_by_source)
        )
        by_mask = sources | "Source" >> beam.Map(lambda source: (source.mask, source))
        joined = (by_mask, rows) | "Join" >> GroupInBlocks()
        compare = _Compare(self.output, self.scores, self.verify)
        compared = joined | "Compare" >> beam.ParDo(compare).with_outputs(
            FAILURES, ROWS, main="results"
        )
        return Resumed(compared.results, compared.failures, compared.rows)


class _Compare(beam.DoFn):
    def __init__(self, output: str, scores: bool, verify: bool):
        self.output = output
        self.scores = scores
        self.verify = verify
        self.kept = Metrics.counter("images", KEPT)

    def start_bundle(self):
        self.waiting: list[tuple[Source, list[MetricsRow]]] = []
        self.count = 0

    def process(self, joined: tuple[str, tuple[list, list]]) -> Iterator:
        _, (sources, lines) = joined
        rows = list(newest(lines).values())
        for source in sources:
            self.waiting.append((source, rows))
            self.count += 1 + len(rows)
            if self.count >= TOGETHER:
                yield from self._flush()

    def finish_bundle(self) -> Iterator:
        yield from map(in_window, self._flush())

    def _flush(self) -> Iterator:
        waiting, self.waiting, self.count = self.waiting, [], 0
        for one in compare_all(waiting, self.output, self.scores, self.verify):
            if one.failure is not None:
                yield emit(one)
                continue
            self.kept.inc(len(one.result.rows))
            yield from (TaggedOutput(ROWS, row) for row in one.result.rows)
            if one.result.source is not None:
                yield one.result.source


def compare_all(
    sources: list[tuple[Source, list[MetricsRow]]], output: str, scores: bool, verify: bool
) -> Iterator[Attempt[Compared]]:
    """Compares sources with their rows of earlier runs.

    Args:
        sources: Each source, and the newest row of each mask of it.
        output: The output folder.
        scores: As for ``Resume``.
        verify: As for ``Resume``.
    """
    masks = [row.item.mask for _, rows in sources for row in rows]
    there = dict.fromkeys(masks, Attempt(True)) if scores else _are_there(output, masks)
    for source, rows in sources:
        failed = next((there[r.item.mask] for r in rows if there[r.item.mask].failure), None)
        if failed is not None:
            yield Attempt(failure=replace(failed.failure, key=source.key))
            continue
        finished = [Finished(row, there[row.item.mask].result) for row in rows]
        # Rows of what the source was before do not make it finished.
        current = [one for one in finished if one.row.item.origin.stamp == source.stamp != ""]
        if not verify and is_complete(current):
            yield Attempt(Compared(None, tuple(one.row for one in current)))
        else:
            yield Attempt(Compared(replace(source, finished=tuple(finished))))


def is_complete(finished: Collection[Finished]) -> bool:
    """Whether every image of a source is finished."""
    origins = [one.row.item.origin for one in finished]
    last = next((origin.number for origin in origins if origin.is_last), None)
    numbers = {origin.number for origin in origins}
    return numbers == set(range(-1 if last is None else last + 1)) != set() and all(
        one.mask_is_there and one.row.item.content for one in finished
    )


def _are_there(output: str, masks: list[str]) -> dict[str, Attempt[bool]]:
    """Whether masks exist."""
    paths = [FileSystems.join(output, mask) for mask in masks]
    if FileSystems.get_scheme(output) is None:
        there = (Attempt(os.path.exists(path)) for path in paths)
        return dict(zip(masks, there, strict=True))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = pool.map(functools.partial(_is_there, output), paths)
        return dict(zip(masks, found, strict=True))


def _is_there(output: str, path: str) -> Attempt[bool]:
    ask = functools.partial(FileSystems.exists, path)
    return attempt("read", path, persistently, ask, OutputLost, output)


def _by_source(path: str) -> Iterator[tuple[str, tuple[int, MetricsRow]]]:
    for written, row in read_lines(path):
        yield row.item.origin.source, (written, row)
