"""Rows to the files of label tools.

The masks are read back, so that rows of an earlier run, and masks of any program, have annotations,
too. Images are placed in buckets by their names. A worker writes what the files say of a bucket, in
pieces of a bounded size. At the end one worker strings the pieces of a format together. So nobody
holds more than some images, and what is written depends on the rows alone.
"""

from __future__ import annotations

import functools
import json
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from typing import NamedTuple

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.pvalue import AsSingleton, TaggedOutput

from pipeline.annotations.files import DOCUMENTS
from pipeline.annotations.label_studio import labelling_interface
from pipeline.annotations.yolo import data_set
from pipeline.failures import Attempt, attempt
from pipeline.job_settings import Job
from pipeline.output_layout import ANNOTATION_PARTS, ANNOTATIONS, LABEL_INTERFACE, YOLO
from pipeline.records import Note
from pipeline.stages.blocks import Pack, place_blocks, unpack
from pipeline.stages.mark import Entry, entry_of, label_of, mark, read_mask
from pipeline.stages.threads import shared_pool, thread_count, usable_cores
from pipeline.storage.files import clear, read_file, write_file, write_large_file
from pipeline.storage.mask_names import claim_of_image, name_images

# About so many images in a bucket, and masks that are read at the same time: both hide latency.
IMAGES = 1000
AT_ONCE = 16
# Characters of a piece, at most, but for one image.
PIECE = 16 << 20
NOTES = "notes"


class Annotations(NamedTuple):
    """What is written, and what is to be said of it.

    Attributes:
        written: A name for each file of a format.
        notes: ``Note`` of what is left out.
    """

    written: beam.PCollection
    notes: beam.PCollection


class WriteAnnotations(beam.PTransform):
    """``MetricsRow`` to the files that ``--annotations`` names.

    Args:
        job: The settings.
    """

    def __init__(self, job: Job):
        super().__init__()
        self.job = job

    def expand(self, rows) -> Annotations:
        """Writes pieces of buckets, then the files."""
        job = self.job
        # By claims, so that names that could clash are in one bucket.
        entries = rows | "Entry" >> beam.Map(
            lambda row: (claim_of_image(row.key), entry_of(row, job))
        )
        blocks = entries | "Pack" >> Pack()
        buckets = (
            blocks
            | "Size" >> beam.Map(lambda block: len(unpack(block)))
            | "Count" >> beam.CombineGlobally(sum)
            | "Buckets" >> beam.Map(lambda count: max(1, -(-count // IMAGES)))
        )
        marked = (
            blocks
            | "Place" >> beam.FlatMap(place_blocks, AsSingleton(buckets))
            | "Bucket" >> beam.GroupByKey()
            | "Mark" >> beam.FlatMap(mark_bucket, job).with_outputs(NOTES, main="pieces")
        )
        # Each format has a seed, so that a file of no image is written, too.
        seeds = rows.pipeline | "Formats" >> beam.Create([(one, None) for one in job.annotations])
        written = (
            (seeds, marked.pieces)
            | beam.Flatten()
            | "Format" >> beam.GroupByKey()
            | "Write" >> beam.MapTuple(functools.partial(write_format, job=job))
        )
        dropped = (
            written
            | "Written" >> beam.combiners.Count.Globally()
            | "Drop" >> beam.Map(_drop_parts, job.output)
        )
        return Annotations(dropped, marked.notes)


def mark_bucket(group: tuple[int, Iterable[bytes]], job: Job) -> Iterator:
    """Writes the pieces of a bucket.

    Args:
        group: The bucket's number, and its images in blocks.
        job: The settings.

    Yields:
        (format, name of a piece), and ``Note``s under their tag.
    """
    number, blocks = group
    entries = [entry for block in blocks for _, entry in unpack(block)]
    entries.sort(key=lambda entry: (entry.key, entry.mask))
    if job.masks is not None:
        entries = _with_labels(entries)
    pieces = {name: _Pieces(job.output, f"{name}-{number:05d}") for name in job.annotations}
    cores = shared_pool(thread_count(job.processes, usable_cores()))
    with ThreadPoolExecutor(AT_ONCE) as readers:
        read = ahead(readers, functools.partial(_read, job=job), entries, AT_ONCE)
        marked = ahead(cores, functools.partial(_mark, job=job), read, AT_ONCE)
        for entry, one in zip(entries, marked, strict=True):
            if one.failure is not None:
                kind = f"masks are left out of the annotations: {one.failure.reason}"
                yield TaggedOutput(NOTES, Note(kind, entry.key))
                continue
            lines, notes = one.result
            yield from (TaggedOutput(NOTES, note) for note in notes)
            for name, line in lines.items():
                pieces[name].add(line)
    for name, piece in pieces.items():
        yield from ((name, path) for path in piece.end())


def ahead(pool: Executor, function: Callable, elements: Iterable, most: int) -> Iterator:
    """What a function makes of elements, in their order, and begun on some of them before."""
    started: deque = deque()
    for element in elements:
        started.append(pool.submit(function, element))
        if len(started) > most:
            yield started.popleft().result()
    while started:
        yield started.popleft().result()


def write_format(name: str, pieces: Iterable[str | None], job: Job) -> str:
    """Writes the files of a format from its pieces, and says which format it was."""
    paths = sorted(path for path in pieces if path is not None)
    if name in DOCUMENTS:
        file, _, document = DOCUMENTS[name]
        entries = functools.partial(_entries, job.output, paths)
        text = (part.encode() for part in document(entries, job.category))
        write_large_file(job.output, f"{ANNOTATIONS}/{file}", text)
    if name == "labelstudio":
        interface = labelling_interface(job.category)
        write_file(job.output, LABEL_INTERFACE, interface.encode())
    if name == "yolo":
        write_file(job.output, f"{YOLO}/data.yaml", data_set(job.category).encode())
    return name


class _Pieces:
    """What a format says of a bucket, written before it takes much memory."""

    def __init__(self, output: str, name: str):
        self._output, self._name = output, name
        self._lines: list[str] = []
        self._size = 0
        self._paths: list[str] = []

    def add(self, line: str) -> None:
        self._lines.append(line)
        self._size += len(line)
        if self._size >= PIECE:
            self._write()

    def end(self) -> list[str]:
        """Writes what is left, and returns the names of all pieces."""
        if self._lines:
            self._write()
        return self._paths

    def _write(self) -> None:
        path = f"{ANNOTATION_PARTS}/{self._name}-{len(self._paths):05d}.jsonl"
        write_file(self._output, path, "".join(f"{line}\n" for line in self._lines).encode())
        self._paths.append(path)
        self._lines, self._size = [], 0


def _entries(output: str, paths: list[str]) -> Iterator[dict]:
    for path in paths:
        for line in read_file(FileSystems.join(output, path)).splitlines():
            yield json.loads(line)


def _with_labels(entries: list[Entry]) -> list[Entry]:
    """Entries with the names of their labels, where no mask was named by this job."""
    groups = defaultdict(list)
    for entry in entries:
        groups[claim_of_image(entry.key)].append(entry)
    labelled = []
    for group in groups.values():
        named = name_images([(entry.key, entry.mask) for entry in group])
        labelled += [
            replace(entry, label=label_of(name.mask))
            for entry, name in zip(group, named, strict=True)
        ]
    return sorted(labelled, key=lambda entry: (entry.key, entry.mask))


def _read(entry: Entry, job: Job) -> tuple[Entry, Attempt[bytes]]:
    return entry, attempt("annotate", entry.key, read_mask, entry, job)


def _mark(entry_and_mask: tuple[Entry, Attempt[bytes]], job: Job) -> Attempt:
    entry, read = entry_and_mask
    if read.failure is not None:
        return read
    return attempt("annotate", entry.key, mark, entry, read.result, job)


def _drop_parts(written: int, output: str) -> int:
    clear(output, [ANNOTATION_PARTS])
    return written
