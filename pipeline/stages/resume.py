"""Leaves out the sources that an earlier run has finished, and brings their rows instead.

No image is read for that: what the listing says of a source is compared with what it said then.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import NamedTuple

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.metrics import Metrics
from apache_beam.pvalue import TaggedOutput

from pipeline.failures import Attempt, OutputLost, attempt
from pipeline.job_settings import Job
from pipeline.progress_counts import count
from pipeline.records import Finished, MetricsRow, Source
from pipeline.stages.blocks import GroupInBlocks
from pipeline.stages.outcomes import FAILURES, emit, in_window
from pipeline.storage.errors import persistently
from pipeline.storage.journal_files import journal_files, newest, read_lines
from pipeline.storage.mask_names import cutout_of, overlay_of

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
        job: The settings.
    """

    def __init__(self, job: Job):
        super().__init__()
        self.job = job

    def expand(self, sources) -> Resumed:
        """Reads the journal and joins it with the sources."""
        rows = (
            sources.pipeline
            | beam.Create([self.job.output])
            | "ListJournal" >> beam.FlatMap(journal_files)
            | beam.Reshuffle()
            | "ReadJournal" >> beam.FlatMap(_by_source)
        )
        by_mask = sources | "Source" >> beam.Map(lambda source: (source.mask, source))
        joined = (by_mask, rows) | "Join" >> GroupInBlocks()
        compare = beam.ParDo(_Compare(self.job))
        compared = joined | "Compare" >> compare.with_outputs(FAILURES, ROWS, main="results")
        return Resumed(compared.results, compared.failures, compared.rows)


class _Compare(beam.DoFn):
    def __init__(self, job: Job):
        self.job = job
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
        for one in compare_all(waiting, self.job):
            if one.failure is not None:
                yield emit(one)
                continue
            self.kept.inc(len(one.result.rows))
            count("earlier", len(one.result.rows))
            yield from (TaggedOutput(ROWS, row) for row in one.result.rows)
            if one.result.source is not None:
                yield one.result.source


def compare_all(
    sources: list[tuple[Source, list[MetricsRow]]], job: Job
) -> Iterator[Attempt[Compared]]:
    """Compares sources with their rows of earlier runs.

    Args:
        sources: Each source, and the newest row of each mask of it.
        job: The settings.
    """
    # Masks that are scored are inputs, so that they are not missed when they are gone.
    scores = job.masks is not None
    wanted = {file for _, rows in sources for row in rows for file in files_of(row, job)}
    there = dict.fromkeys(wanted, Attempt(True)) if scores else _are_there(job.output, wanted)
    for source, rows in sources:
        found = [[there[file] for file in files_of(row, job)] for row in rows]
        failed = next((one for files in found for one in files if one.failure), None)
        if failed is not None:
            yield Attempt(failure=replace(failed.failure, key=source.key))
            continue
        finished = [
            Finished(row, all(one.result for one in files))
            for row, files in zip(rows, found, strict=True)
        ]
        # Rows of what the source was before do not make it finished.
        current = [one for one in finished if one.row.item.origin.stamp == source.stamp != ""]
        if not job.verify and is_complete(current):
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


def files_of(row: MetricsRow, job: Job) -> list[str]:
    """The files below the output folder that an image has when it is finished."""
    mask, stored = row.item.mask, row.item.stored
    files = [mask if stored is None else stored.file]
    if job.cutouts:
        files.append(cutout_of(mask, job.cutouts))
    if job.overlays:
        files.append(overlay_of(mask))
    return files


def _are_there(output: str, files: Iterable[str]) -> dict[str, Attempt[bool]]:
    """Whether files exist."""
    paths = {file: FileSystems.join(output, file) for file in files}
    if FileSystems.get_scheme(output) is None:
        return {file: Attempt(os.path.exists(path)) for file, path in paths.items()}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = pool.map(functools.partial(_is_there, output), paths.values())
        return dict(zip(paths, found, strict=True))


def _is_there(output: str, path: str) -> Attempt[bool]:
    ask = functools.partial(FileSystems.exists, path)
    return attempt("read", path, persistently, ask, OutputLost, output)


def _by_source(path: str) -> Iterator[tuple[str, tuple[int, MetricsRow]]]:
    for written, row in read_lines(path):
        yield row.item.origin.source, (written, row)
