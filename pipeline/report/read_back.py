"""Photos, masks and truths of a few rows, read back from where they are."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from apache_beam.io.filesystems import FileSystems

from pipeline.failures import BadImage
from pipeline.job_settings import Job
from pipeline.output_layout import MASKS
from pipeline.records import MetricsRow, Truth
from pipeline.storage.files import read_file, read_range
from pipeline.storage.mask_shards import read_masks, shard_of, text_of
from pipeline.storage.packed_head import read_packed
from pipeline.storage.patterns import format_of
from pipeline.storage.raw_records import Features, fields_of
from pipeline.storage.shards import pick_records
from pipeline.storage.truth_shards import read_truth

# Records that end later in their shard are not read: a shard has to be read up to them.
MOST_BYTES = 64 << 20
_TOO_FAR = f"it is not in the first {MOST_BYTES >> 20} MiB of its shard"


class Stored(NamedTuple):
    """What is read of an image besides its mask.

    Attributes:
        photo: The encoded photo, or why there is none.
        truth: The encoded truth, or why there is none; None if the row names none.
    """

    photo: bytes | Exception
    truth: bytes | Exception | None


def read_mask(row: MetricsRow, job: Job, in_shards: Mapping[str, bytes]) -> bytes:
    """The encoded mask of a row.

    Args:
        row: The row.
        job: What made it.
        in_shards: What ``masks_in_shards`` has found.

    Raises:
        Exception: It cannot be read.
    """
    item = row.item
    if item.stored is None:
        if job.masks is not None:
            return read_truth(item.mask, fields_of(job)) or b""
        return read_file(FileSystems.join(job.output, item.mask))
    if item.mask in in_shards:
        return in_shards[item.mask]
    if not _is_in_part(row, job):
        raise BadImage("far_in_shard", _TOO_FAR)
    return read_range(job.output, item.stored.file, item.stored.offset, item.stored.mask_bytes)


def masks_in_shards(rows: Iterable[MetricsRow], job: Job) -> dict[str, bytes]:
    """The encoded masks that lie in shards, by ``mask`` of their items, as far as they are found.

    While a job runs, its masks are in parts, where ``read_mask`` finds them.
    """
    wanted: dict[str, dict[str, str]] = defaultdict(dict)
    count = None
    for row in rows:
        if row.item.stored is not None and not _is_in_part(row, job):
            count = count or read_packed(job.output)
            if count is not None:
                shard = shard_of(row.key, count.shards, job.mask_format)
                wanted[shard][text_of(row.key)] = row.item.mask
    found = {}
    for shard, masks in wanted.items():
        # What cannot be read is missed, and said, where it is to be shown.
        with contextlib.suppress(Exception):
            size = 0
            for key, mask, image in read_masks(
                FileSystems.join(job.output, shard), job.mask_format
            ):
                size += len(mask) + len(image)
                if not masks or size > MOST_BYTES:
                    break
                if key in masks:
                    found[masks.pop(key)] = mask
    return found


def read_stored(rows: Sequence[MetricsRow], job: Job) -> Iterator[tuple[MetricsRow, Stored]]:
    """Photo and truth of rows, one after the other, in any order.

    Args:
        rows: Rows of one shard, or one row of an image file.
        job: What made them.
    """
    if not is_record(rows[0]):
        for row in rows:
            path, fields = row.item.origin.truth, fields_of(job)
            truth = _tried(read_truth, path, fields) if path else None
            yield row, Stored(_tried(_photo_file, row, job), truth)
        return
    left = {row.item.origin.number: row for row in rows}
    trouble: Exception | None = None
    try:
        path = rows[0].item.origin.path
        form = format_of(path, job.input_format)
        for number, found in pick_records(path, form, fields_of(job), list(left), MOST_BYTES):
            yield left.pop(number), _of_record(found)
    except Exception as error:
        trouble = error
    for row in left.values():
        yield row, Stored(trouble or BadImage("far_in_shard", _TOO_FAR), None)


def is_record(row: MetricsRow) -> bool:
    """Whether an image lies in a shard."""
    return row.item.origin.source != row.item.mask


def _is_in_part(row: MetricsRow, job: Job) -> bool:
    """Whether a mask is in a part, of which the job has not yet made shards."""
    file = row.item.stored.file
    return not file.startswith(f"{MASKS}/") and FileSystems.exists(
        FileSystems.join(job.output, file)
    )


def _of_record(found: Features) -> Stored:
    photo = found.image or found.fault or BadImage("missing_feature", "the record has no image")
    return Stored(photo, None if found.truth is None else _truth_of(found.truth))


def _truth_of(truth: Truth) -> bytes | Exception:
    if truth.failure is None:
        return truth.encoded
    return BadImage(truth.failure.reason, truth.failure.message)


def _photo_file(row: MetricsRow, job: Job) -> bytes:
    if job.masks is not None:
        raise BadImage("no_photo", "--masks names no photos")
    if not row.item.origin.path:
        raise BadImage("no_photo", "its row does not say where it is")
    return read_file(row.item.origin.path)


def _tried(function, *arguments) -> bytes | Exception:
    # Also what would end a job: without a picture, a report is still a report.
    try:
        return function(*arguments)
    except Exception as error:
        return error
