"""The journal on storage: rows of finished images, in small files that are written whole.

``journal/job.json`` says which job the journal belongs to. Every other file holds lines of finished
images. A later line of a mask replaces an earlier one: the names of the files begin with the time
at which they were written.
"""

from __future__ import annotations

import base64
import json
import logging
import time
import uuid
from collections.abc import Iterable, Iterator

import numpy as np
from apache_beam.io.filesystems import FileSystems

from pipeline.failures import OutputLost
from pipeline.job_settings import Job
from pipeline.output_layout import JOURNAL, JOURNAL_HEAD
from pipeline.records import Item, MetricsRow
from pipeline.storage.files import delete, literal, write_file


def read_head(output: str) -> dict | None:
    """What ``start`` wrote into an output folder, or None.

    Raises:
        ValueError: The file is damaged.
    """
    path = FileSystems.join(output, JOURNAL, JOURNAL_HEAD)
    if not FileSystems.exists(path):
        return None
    with FileSystems.open(path, compression_type="uncompressed") as file:
        return json.loads(file.read())


def identity(job: Job) -> dict:
    """What decides masks and rows besides the images; a finished image has to agree in it."""
    return {
        "format": 3,
        "scores": job.masks is not None,
        "model": job.model,
        "model_content": job.model_content,
        "image_size": job.image_size,
        "tta": job.tta,
        "precision": job.precision,
        "threshold": job.threshold,
    }


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
        stale = journal_files(job.output)
        if stale:
            delete(stale)
        write_file(
            job.output, f"{JOURNAL}/{JOURNAL_HEAD}", json.dumps(head, indent=2).encode() + b"\n"
        )


def journal_files(output: str) -> list[str]:
    """The files that hold rows."""
    folder = literal(FileSystems.join(output, JOURNAL))
    found = FileSystems.match([f"{folder}/*.jsonl"])[0].metadata_list
    return sorted(file.path for file in found)


def to_line(row: MetricsRow) -> str:
    """A row as JSON, with all that the statistics of the data set need, to the last bit."""
    return json.dumps(
        {
            "key": row.item.key,
            "mask": row.item.mask,
            "size": row.size,
            "status": row.status,
            "values": row.values,
            "f_curve": _curve_to_text(row.f_curve),
            "e_curve": _curve_to_text(row.e_curve),
            "content": row.item.content,
        }
    )


def from_line(line: str | bytes) -> MetricsRow:
    """Reads what ``to_line`` wrote.

    Raises:
        ValueError: The line is damaged.
    """
    try:
        values = json.loads(line)
        return MetricsRow(
            Item(values["key"], values["mask"], values["content"]),
            tuple(values["size"]),
            values["status"],
            values["values"],
            _curve_from_text(values["f_curve"]),
            _curve_from_text(values["e_curve"]),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"a line of the journal is damaged: {error}") from error


def read_rows(path: str) -> Iterator[MetricsRow]:
    """The rows of a file. A damaged line is logged and left out, so its image is done again."""
    with FileSystems.open(path, compression_type="uncompressed") as file:
        for number, line in enumerate(file.read().splitlines(), 1):
            try:
                yield from_line(line)
            except ValueError as error:
                logging.warning("%s, line %d: %s; its image is done again", path, number, error)


def append(output: str, rows: Iterable[MetricsRow]) -> None:
    """Writes rows to a new file of the journal.

    Raises:
        OutputLost: The journal is gone.
    """
    # The mount point of a lost mount is an empty folder that can be written to.
    if not FileSystems.exists(FileSystems.join(output, JOURNAL, JOURNAL_HEAD)):
        raise OutputLost(f"{output} has lost its journal: was it moved, or its mount lost?")
    name = f"{time.time_ns():020}-{uuid.uuid4().hex}.jsonl"
    lines = "".join(to_line(row) + "\n" for row in rows)
    write_file(output, f"{JOURNAL}/{name}", lines.encode())


def withdraw(output: str, key: str, mask: str) -> None:
    """Takes back the row of an image that has changed, before its mask is made anew.

    Otherwise a run that is killed after the new mask and before the new row would leave the new
    mask with the old row, which would fit again if the image changed back. The mask is not deleted:
    it may be the new one already, of a bundle that is done twice.
    """
    append(output, [MetricsRow(Item(key, mask), (0, 0), "changed", {})])


def _curve_to_text(curve: np.ndarray | None) -> str | None:
    return None if curve is None else base64.b64encode(np.asarray(curve, "<f8").tobytes()).decode()


def _curve_from_text(text: str | None) -> np.ndarray | None:
    return None if text is None else np.frombuffer(base64.b64decode(text), "<f8")
