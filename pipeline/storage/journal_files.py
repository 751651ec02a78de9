"""The journal on storage: rows of finished images, in files that are written whole.

``journal/job.json`` says which job the journal belongs to. Small files of lines are written to
``journal/running`` while images are finished. At the end of a job they are put together in few
files in ``journal/compacted``. A later line of a mask replaces an earlier one. Where masks are in
shards, ``journal/packed`` has the lines of each shard, see ``packed_head``.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import logging
import time
import uuid
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import astuple, replace

import numpy as np
from apache_beam.io.filesystem import FileMetadata
from apache_beam.io.filesystems import FileSystems

from model.metrics.counts import LevelCounts
from pipeline.failures import OutputLost
from pipeline.job_settings import Job
from pipeline.output_layout import JOURNAL, JOURNAL_HEAD
from pipeline.records import Item, MetricsRow, Origin, Stored
from pipeline.storage.errors import persistently
from pipeline.storage.files import clear, literal, read_file, write_file
from pipeline.storage.mask_parts import PARTS
from pipeline.storage.packed_head import PACKED, PACKED_HEAD, read_packed

# Rises when what is written here changes its meaning.
FORMAT = 5
RUNNING = f"{JOURNAL}/running"
COMPACTED = f"{JOURNAL}/compacted"
# About so many bytes in a compacted file: some 50,000 rows without truth.
COMPACT_BYTES = 16 << 20
# Job settings that decide which files are written.
LAYOUT = ("mask_format", "with_images", "cutouts", "overlays")
_NO = object()


def read_head(output: str) -> dict | None:
    """What ``start`` wrote into an output folder, or None.

    Raises:
        ValueError: The file is damaged.
    """
    path = FileSystems.join(output, JOURNAL, JOURNAL_HEAD)
    if not _exists(path):
        return None
    # Journals of before there was a choice do not say what ran the network.
    return {"engine": "keras", **json.loads(read_file(path))}


def identity(job: Job) -> dict:
    """What decides masks and rows besides the images; a finished image has to agree in it."""
    return {
        "format": FORMAT,
        "scores": job.masks is not None,
        "model": job.model,
        "model_content": job.model_content,
        "image_size": job.image_size,
        "tta": job.tta,
        "precision": job.precision,
        "engine": job.engine,
        "threshold": job.threshold,
        "image_field": job.image_field,
        "truth_field": job.truth_field,
        "name_field": job.name_field,
        **layout(job),
    }


def layout(job: Job) -> dict:
    """What decides which files are written: a resumed run can only go on with the same."""
    return {name: getattr(job, name) for name in LAYOUT}


def changes(job: Job) -> list[str]:
    """What differs from the run whose journal is there, in words; empty if nothing does."""
    before, now = read_head(job.output) or {}, identity(job)
    return [
        f"{name} was {before[name]}, is {value}"
        for name, value in now.items()
        if name in before and before[name] != value
    ]


def start(job: Job) -> None:
    """Opens the journal of a job. Rows of another model or other options are dropped first."""
    head = identity(job)
    if read_head(job.output) != head:
        # Before the head is written: after a crash in between, the old head still names old rows.
        clear(job.output, [PACKED_HEAD, PACKED, RUNNING, COMPACTED, PARTS])
        write_file(
            job.output, f"{JOURNAL}/{JOURNAL_HEAD}", json.dumps(head, indent=2).encode() + b"\n"
        )


def journal_files(output: str) -> list[str]:
    """The files that hold rows."""
    folder = literal(FileSystems.join(output, JOURNAL))
    found = sorted(file.path for file in _match(f"{folder}/*/*.jsonl"))
    uncommitted = f"/{PACKED}/" if read_packed(output) is None else None
    return [path for path in found if uncommitted is None or uncommitted not in path]


def to_line(row: MetricsRow, written: int = 0) -> str:
    """A row as JSON, with all that the statistics of the data set need, to the last bit.

    Args:
        row: The row.
        written: When it is written, in nanoseconds since 1970. Of rows of one mask, the last
            counts.
    """
    item, counts = row.item, row.level_counts
    values = {
        "written": written,
        "key": item.key,
        "mask": item.mask,
        "source": item.origin.source,
        "stamp": item.origin.stamp,
        "number": item.origin.number,
        "is_last": item.origin.is_last,
        "path": item.origin.path,
        "truth": item.origin.truth,
        "content": item.content,
        "size": row.size,
        "stored": item.stored and astuple(item.stored),
        "status": row.status,
        "values": row.values,
        "level_counts": counts and base64.b64encode(counts).decode(),
    }
    # What is not there is what an image file without truth has.
    left_out = {"source": item.mask, "stamp": "", "number": 0, "is_last": True, "path": ""}
    left_out |= {"truth": "", "stored": None, "level_counts": None, "status": "ok"}
    kept = {name: value for name, value in values.items() if left_out.get(name, _NO) != value}
    return json.dumps(kept, separators=(",", ":"))


def from_line(line: str | bytes) -> tuple[int, MetricsRow]:
    """Reads what ``to_line`` wrote: when, and the row.

    Raises:
        ValueError: The line is damaged.
    """
    try:
        values = json.loads(line)
        origin = Origin(
            values.get("source", values["mask"]),
            values.get("stamp", ""),
            values.get("number", 0),
            values.get("is_last", True),
            values.get("path", ""),
            values.get("truth", ""),
        )
        counts = values.get("level_counts")
        if counts is not None:
            counts = base64.b64decode(counts)
            LevelCounts.from_bytes(counts)  # Tells whether they are damaged.
        stored = values.get("stored")
        stored = stored and Stored(*stored)
        row = MetricsRow(
            Item(values["key"], values["mask"], values["content"], origin=origin, stored=stored),
            tuple(values["size"]),
            values.get("status", "ok"),
            values["values"],
            counts,
        )
        return values["written"], row
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"a line of the journal is damaged: {error}") from error


def read_lines(path: str) -> Iterator[tuple[int, MetricsRow]]:
    """What the lines of a file say; a damaged one is logged, so that its image is done again."""
    for number, line in enumerate(read_file(path).splitlines(), 1):
        try:
            yield from_line(line)
        except ValueError as error:
            logging.warning("%s, line %d: %s; its image is done again", path, number, error)


def newest(lines: Iterable[tuple[int, MetricsRow]]) -> dict[str, MetricsRow]:
    """Of rows of each mask, each with when it was written, the last; by the mask."""
    last: dict[str, tuple[int, MetricsRow]] = {}
    for written, row in lines:
        if row.item.mask not in last or last[row.item.mask][0] <= written:
            last[row.item.mask] = written, row
    return {mask: row for mask, (_, row) in last.items()}


def count_finished(output: str) -> int:
    """How many images an earlier run has finished. It takes 16 bytes of memory for a row."""
    masks, last = array("Q"), array("q")
    for path in journal_files(output):
        for written, row in read_lines(path):
            digest = hashlib.blake2b(row.item.mask.encode(), digest_size=8).digest()
            masks.append(int.from_bytes(digest))
            # The sign says whether the row was withdrawn.
            last.append(written if row.item.content else -written)
    order = np.argsort(np.abs(np.array(last, np.int64)), kind="stable")[::-1]
    _, newest_rows = np.unique(np.array(masks, np.uint64)[order], return_index=True)
    return int(np.count_nonzero(np.array(last, np.int64)[order][newest_rows] >= 0))


def append(output: str, rows: Iterable[MetricsRow]) -> None:
    """Writes rows to a new file of the journal.

    Raises:
        OutputLost: The journal is gone.
    """
    # The mount point of a lost mount is an empty folder that can be written to.
    if not _exists(FileSystems.join(output, JOURNAL, JOURNAL_HEAD)):
        raise OutputLost(f"{output} has lost its journal: was it moved, or its mount lost?")
    now = time.time_ns()
    lines = "".join(to_line(row, now) + "\n" for row in rows)
    write_file(output, f"{RUNNING}/{now:020}-{uuid.uuid4().hex}.jsonl", lines.encode())


def withdraw(output: str, row: MetricsRow) -> None:
    """Takes back the row of an image that has changed, before its mask is made anew.

    Otherwise a run that is killed after the new mask and before the new row would leave the new
    mask with the old row, which would fit again if the image changed back. The mask is not deleted:
    it may be the new one already, of a bundle that is done twice.
    """
    item = replace(row.item, content="")
    append(output, [MetricsRow(item, (0, 0), "changed", {})])


def running_files(output: str) -> Iterator[list[str]]:
    """The files that ``append`` wrote, in groups that ``compact`` takes."""
    folder = literal(FileSystems.join(output, RUNNING))
    group, size = [], 0
    for file in sorted(_match(f"{folder}/*.jsonl"), key=lambda file: file.path):
        group.append(file.path)
        size += file.size_in_bytes
        if size >= COMPACT_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def compact(output: str, paths: list[str]) -> None:
    """Writes the lines of many files to one. The many are left there, see ``drop_running``."""
    lines = []
    for path in paths:
        data = read_file(path)
        # The last line of a damaged file may be cut.
        lines.append(data if data.endswith(b"\n") else data + b"\n")
    # A bundle that is done again writes the same file.
    name = hashlib.sha256("\n".join(map(_name_of, paths)).encode()).hexdigest()[:32]
    write_file(output, f"{COMPACTED}/{name}.jsonl", b"".join(lines))


def drop_running(output: str) -> None:
    """Removes what ``append`` wrote, once ``compact`` has taken all of it."""
    clear(output, [RUNNING])


def _exists(path: str) -> bool:
    return persistently(functools.partial(FileSystems.exists, path), OutputLost, path)


def _match(pattern: str) -> list[FileMetadata]:
    def match() -> list[FileMetadata]:
        return FileSystems.match([pattern])[0].metadata_list

    return persistently(match, OutputLost, pattern)


def _name_of(path: str) -> str:
    return path.rpartition("/")[2]
