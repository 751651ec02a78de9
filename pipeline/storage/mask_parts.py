"""Encoded masks on their way into shards: many in one file, until the job puts them together.

A part holds the masks, and where they are wanted the images, one after the other. It is written
whole before the rows of its masks go to the journal. The rows say where in it each mask is.
"""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from apache_beam.io.filesystems import FileSystems

from pipeline.output_layout import JOURNAL
from pipeline.records import MetricsRow, Stored
from pipeline.storage.files import read_range, write_file

PARTS = f"{JOURNAL}/parts"
# About so many bytes in a part. A worker holds two: one is gathered while one is written.
PART_BYTES = 32 << 20
# So much is read ahead, in bytes and in masks, and so many requests are made at the same time.
_AHEAD_BYTES, _AHEAD, _AT_ONCE = 16 << 20, 64, 16


@dataclass(frozen=True)
class EncodedMask:
    """A mask that has no file of its own.

    Attributes:
        row: Its row.
        mask: The encoded mask.
        image: The encoded image; empty if it is not kept.
    """

    row: MetricsRow
    mask: bytes
    image: bytes = b""

    @property
    def size(self) -> int:
        """Bytes of mask and image."""
        return len(self.mask) + len(self.image)


def write_part(output: str, masks: Sequence[EncodedMask]) -> list[MetricsRow]:
    """Writes masks to a new part.

    Returns:
        Their rows, which say where the masks are.

    Raises:
        OutputLost: Nothing can be written there.
        OSError: The part could not be written, though it was tried a few times.
    """
    file, rows, offset = f"{PARTS}/{uuid.uuid4().hex}.bin", [], 0
    for one in masks:
        stored = Stored(file, offset, len(one.mask), len(one.image))
        rows.append(replace(one.row, item=replace(one.row.item, stored=stored)))
        offset += one.size
    data = b"".join(piece for one in masks for piece in (one.mask, one.image))
    write_file(output, file, data)
    return rows


def write_parts(
    output: str, masks: Iterable[EncodedMask], done: Callable[[list[MetricsRow]], None]
) -> Iterator[MetricsRow]:
    """Writes masks to parts of about ``PART_BYTES``.

    Args:
        output: The output folder.
        masks: The masks. Few of them are held at a time.
        done: Called with the rows of each part, before they are yielded.

    Yields:
        The rows.
    """
    waiting, size = [], 0
    for one in masks:
        waiting.append(one)
        size += one.size
        if size >= PART_BYTES:
            yield from _flush(output, waiting, done)
            waiting, size = [], 0
    if waiting:
        yield from _flush(output, waiting, done)


def read_parts(output: str, rows: Sequence[MetricsRow]) -> Iterator[EncodedMask]:
    """Reads masks from parts, in the order of their rows. Few of them are held at a time.

    Raises:
        OutputLost: A part cannot be read.
    """
    read = functools.partial(_read_mask, output)
    if FileSystems.get_scheme(output) is None:
        yield from map(read, rows)
        return
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for some in _ahead(rows):
            yield from pool.map(read, some)


def _flush(
    output: str, masks: list[EncodedMask], done: Callable[[list[MetricsRow]], None]
) -> list[MetricsRow]:
    rows = write_part(output, masks)
    done(rows)
    return rows


def _read_mask(output: str, row: MetricsRow) -> EncodedMask:
    stored = row.item.stored
    data = read_range(output, stored.file, stored.offset, stored.mask_bytes + stored.image_bytes)
    return EncodedMask(row, data[: stored.mask_bytes], data[stored.mask_bytes :])


def _ahead(rows: Sequence[MetricsRow]) -> Iterator[list[MetricsRow]]:
    """Rows in groups that are read at the same time."""
    group, size = [], 0
    for row in rows:
        group.append(row)
        size += row.item.stored.mask_bytes + row.item.stored.image_bytes
        if size >= _AHEAD_BYTES or len(group) >= _AHEAD:
            yield group
            group, size = [], 0
    if group:
        yield group
