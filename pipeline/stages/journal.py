"""What a job has finished: rows in small files, written as it goes on and read when it resumes.

`journal/job.json` says which job the journal is of. Every other file holds lines of finished
images and is written whole. A later line replaces an earlier one of the same mask; the names of the
files begin with the time at which they were written.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import logging
import time
import uuid
from collections.abc import Iterable, Iterator

import apache_beam as beam
import numpy as np
from apache_beam.io.filesystems import FileSystems

from pipeline.job_settings import JOURNAL, Job
from pipeline.records import MetricsRow
from pipeline.stages.threads import in_window
from pipeline.storage.files import OutputLost, delete, literal, write_file

HEAD = "job.json"
# A file is written after so many rows, or when one comes after so many seconds.
ROWS = 64
SECONDS = 5.0


def read_head(output: str) -> dict | None:
    """What `start` wrote into an output folder, or None.

    Raises:
        ValueError: The file is damaged.
    """
    path = FileSystems.join(output, JOURNAL, HEAD)
    if not FileSystems.exists(path):
        return None
    with FileSystems.open(path, compression_type="uncompressed") as file:
        return json.loads(file.read())


def identity(job: Job) -> dict:
    """What decides masks and rows besides the images: what a finished image must have in common."""
    return {
        "format": 2,
        "scores": job.masks is not None,
        "model": job.model,
        "model_content": job.model_content,
        "image_size": job.image_size,
        "tta": job.tta,
        "precision": job.precision,
        "threshold": job.threshold,
    }


def changes(job: Job) -> list[str]:
    """What differs from the run whose journal is there, for people; empty if nothing does."""
    before, now = read_head(job.output) or {}, identity(job)
    return [
        f"{name} was {before[name]}, is {value}"
        for name, value in now.items()
        if name in before and before[name] != value
    ]


def start(job: Job) -> None:
    """Opens the journal of a job; rows of another model or other options are dropped first."""
    head = identity(job)
    if read_head(job.output) != head:
        # Before the head: what is left after a crash in between is known for what it is.
        stale = journal_files(job.output)
        if stale:
            delete(stale)
        write_file(job.output, f"{JOURNAL}/{HEAD}", json.dumps(head, indent=2).encode() + b"\n")


def journal_files(output: str) -> list[str]:
    """The files with rows."""
    folder = literal(FileSystems.join(output, JOURNAL))
    found = FileSystems.match([f"{folder}/*.jsonl"])[0].metadata_list
    return sorted(file.path for file in found)


def to_line(row: MetricsRow) -> str:
    """A row with all that the statistics of the data set need, exactly."""
    values = {field.name: getattr(row, field.name) for field in dataclasses.fields(row)}
    for name in ("f_curve", "e_curve"):
        curve = values[name]
        if curve is not None:
            values[name] = base64.b64encode(np.asarray(curve, "<f8").tobytes()).decode()
    return json.dumps(values)


def from_line(line: str | bytes) -> MetricsRow:
    """The row of a line.

    Raises:
        ValueError: The line is damaged.
    """
    try:
        values = json.loads(line)
        values["size"] = tuple(values["size"])
        for name in ("f_curve", "e_curve"):
            if values[name] is not None:
                values[name] = np.frombuffer(base64.b64decode(values[name]), "<f8")
        return MetricsRow(**values)
    except (KeyError, TypeError) as error:
        raise ValueError(f"a line of the journal is damaged: {error}") from error


def withdraw(output: str, key: str, mask: str) -> None:
    """Takes back the row of an image that has changed, before its mask is made anew.

    A run that is killed after the new mask and before its row would leave the new mask with the old
    row, which fits again if the image changes back. The mask stays: it may already be the new one,
    of a bundle that is done twice.
    """
    _append(output, [MetricsRow(key, mask, (0, 0), "changed", {}, content="")])


def newest(entries: Iterable[tuple[str, MetricsRow]]) -> tuple[str, MetricsRow]:
    """Of rows of the same mask, each with its file, the last that was written."""
    return max(entries, key=lambda entry: entry[0])


def read_rows(path: str) -> Iterator[MetricsRow]:
    """The rows of a file, but for damaged lines, whose images are done again."""
    with FileSystems.open(path, compression_type="uncompressed") as file:
        for number, line in enumerate(file.read().splitlines(), 1):
            try:
                yield from_line(line)
            except ValueError as error:
                logging.warning("%s, line %d: %s; its image is done again", path, number, error)


class ReadJournal(beam.PTransform):
    """What an earlier run has finished: (path of a mask, ``MetricsRow``), each mask once.

    Args:
        output: The output folder.
    """

    def __init__(self, output: str):
        super().__init__()
        self.output = output

    def expand(self, begin):
        """Lists, reads, and keeps the last row of each mask."""
        return (
            begin
            | beam.Create([self.output])
            | "List" >> beam.FlatMap(journal_files)
            | beam.Reshuffle()
            | "Rows" >> beam.FlatMap(_rows)
            | beam.CombinePerKey(newest)
            | "Last" >> beam.MapTuple(lambda mask, entry: (mask, entry[1]))
        )


class KeepRows(beam.PTransform):
    """The rows of what is done, of all that an earlier run has finished.

    Args:
        finished: As from ``ReadJournal``.
    """

    def __init__(self, finished: beam.PCollection):
        super().__init__()
        self.finished = finished

    def expand(self, done):
        """Joins ``Done`` with the rows."""
        masks = done | "Mask" >> beam.Map(lambda one: (one.mask, None))
        return (
            {"done": masks, "rows": self.finished}
            | beam.CoGroupByKey()
            | beam.FlatMapTuple(lambda _, found: found["rows"] if found["done"] else ())
        )


class WriteJournal(beam.PTransform):
    """Writes rows to the journal, and lets each through once it is there.

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

    def process(self, row: MetricsRow):
        self.rows.append(row)
        if len(self.rows) >= ROWS or time.monotonic() - self.since >= SECONDS:
            yield from self._flush()

    def finish_bundle(self):
        if self.rows:
            yield from map(in_window, self._flush())

    def _flush(self) -> list[MetricsRow]:
        rows, self.rows, self.since = self.rows, [], time.monotonic()
        _append(self.output, rows)
        return rows


def _append(output: str, rows: Iterable[MetricsRow]) -> None:
    # A mount that is gone leaves an empty folder, which could well be written to.
    if not FileSystems.exists(FileSystems.join(output, JOURNAL, HEAD)):
        raise OutputLost(f"{output} has lost its journal: was it moved, or its mount lost?")
    name = f"{time.time_ns():020}-{uuid.uuid4().hex}.jsonl"
    lines = "".join(to_line(row) + "\n" for row in rows)
    write_file(output, f"{JOURNAL}/{name}", lines.encode())


def _rows(path: str) -> Iterator[tuple[str, tuple[str, MetricsRow]]]:
    for row in read_rows(path):
        yield row.mask, (path, row)
