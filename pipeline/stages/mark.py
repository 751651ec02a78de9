"""The annotations of one image, from its mask as it was written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from apache_beam.io.filesystems import FileSystems

from pipeline.annotations.cvat import printable
from pipeline.annotations.files import DOCUMENTS
from pipeline.annotations.objects import Annotated, connected_objects, whole_object
from pipeline.annotations.yolo import labels
from pipeline.failures import BadImage
from pipeline.images.memory import room_for
from pipeline.images.truth import decode_mask
from pipeline.job_settings import Job
from pipeline.output_layout import MASKS, YOLO
from pipeline.records import MetricsRow, Note, Stored
from pipeline.storage.files import read_file, read_range, write_file
from pipeline.storage.mask_names import stem
from pipeline.storage.raw_records import fields_of
from pipeline.storage.truth_shards import read_truth


@dataclass(frozen=True)
class Entry:
    """An image that has a mask.

    Attributes:
        key: Its key.
        path: The image file, or the shard.
        is_record: Whether it lies in a shard.
        mask: Path of the mask.
        label: Path of its label file in a tree of such files, without suffix.
        size: (width, height).
        stored: Where the mask is, if it has no file of its own, or None.
    """

    key: str
    path: str
    is_record: bool
    mask: str
    label: str
    size: tuple[int, int]
    stored: Stored | None = None


def entry_of(row: MetricsRow, job: Job) -> Entry:
    """What the annotations of a row's image are made of."""
    item = row.item
    is_record = item.origin.source != item.mask
    if job.masks is not None:
        return Entry(row.key, item.origin.path, is_record, item.mask, "", row.size)
    mask = FileSystems.join(job.output, item.mask)
    label = label_of(item.mask)
    return Entry(row.key, item.origin.path, is_record, mask, label, row.size, item.stored)


def read_mask(entry: Entry, job: Job) -> bytes:
    """Reads the encoded mask of an image.

    Raises:
        Exception: As of ``read_file`` or ``read_range``.
    """
    stored = entry.stored
    if stored is not None:
        return read_range(job.output, stored.file, stored.offset, stored.mask_bytes)
    if job.masks is not None:
        return read_truth(entry.mask, fields_of(job)) or b""
    return read_file(entry.mask)


def label_of(mask: str) -> str:
    """The path of the label file that belongs to a mask below the output folder."""
    return mask.removeprefix(f"{MASKS}/").removesuffix(".png")


def mark(entry: Entry, encoded: bytes, job: Job) -> tuple[dict[str, str], list[Note]]:
    """Makes the annotations of an image, and writes those that have a file of their own.

    Args:
        entry: The image.
        encoded: Its mask.
        job: The settings.

    Returns:
        For each format that is one file, a line of a piece; and what there is to say.

    Raises:
        BadImage: The mask cannot be decoded, or is not of the image's size.
    """
    width, height = entry.size
    with room_for(width * height):
        levels = decode_mask(encoded, job.max_pixels)
        if levels.shape != (height, width):
            raise BadImage("mask_size", "the mask is not of the size of its image")
        dropped = 0
        if job.instances == "components":
            objects, dropped = connected_objects(levels, job.min_area)
        else:
            objects = whole_object(levels)
        image = Annotated(
            _unicode(entry.key),
            entry.path,
            entry.is_record,
            entry.size,
            objects,
            job.category,
            job.model,
        )
        lines = {
            name: json.dumps(DOCUMENTS[name].entry(image))
            for name in job.annotations
            if name in DOCUMENTS
        }
        text = labels(image) if "yolo" in job.annotations else ""
    if "yolo" in job.annotations:
        write_file(job.output, f"{YOLO}/labels/{entry.label}.txt", text.encode())
    return lines, [*_notes_of(entry, job, dropped)]


def _unicode(name: str) -> str:
    """A name with U+FFFD for lone surrogates, which readers of JSON and XML refuse."""
    return name.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _notes_of(entry: Entry, job: Job, dropped: int) -> Iterator[Note]:
    formats = job.annotations
    if dropped:
        kind = f"parts of masks are smaller than {job.min_area} pixels and not annotated"
        yield Note(kind, entry.key, dropped)
    if _unicode(entry.key) != entry.key:
        yield Note("names are not Unicode, and are changed in the annotations", entry.key)
    if "yolo" in formats and entry.label != stem(entry.key):
        kind = "label files are not named like their image, so YOLO does not find them"
        yield Note(kind, entry.key)
    if "labelstudio" in formats and entry.is_record:
        yield Note("tasks are of records, which Label Studio cannot open", entry.key)
    if "cvat" in formats and printable(entry.key) != _unicode(entry.key):
        yield Note("names hold characters that XML cannot, and are changed in cvat.xml", entry.key)
