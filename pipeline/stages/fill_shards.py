"""Shards of masks from parts, and parts from older shards; see ``pack_masks``."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace

from apache_beam.io.filesystems import FileSystems

from pipeline.failures import OutputLost
from pipeline.images.refusals import kind_of
from pipeline.job_settings import Job
from pipeline.records import MetricsRow, Stored
from pipeline.storage.errors import in_words, is_of_the_service
from pipeline.storage.files import gathered_file
from pipeline.storage.journal_files import append
from pipeline.storage.mask_names import member_of, stem
from pipeline.storage.mask_parts import EncodedMask, read_parts, write_parts
from pipeline.storage.mask_shards import MaskRecord, read_masks, text_of, write_records
from pipeline.storage.packed_journal import write_packed


def empty_shard(output: str, shard: str, rows: list[MetricsRow], mask_format: str) -> list:
    """Copies masks from an older shard to parts, and notes it in the journal.

    Args:
        output: The output folder.
        shard: Path of the shard below it.
        rows: The rows of those of its masks that are wanted.
        mask_format: That of the shard.

    Returns:
        The rows, which name the parts.

    Raises:
        OutputLost: The shard does not hold the masks, or cannot be read.
    """
    wanted = {text_of(row.key): row for row in rows}
    path = FileSystems.join(output, shard)

    def masks() -> Iterator[EncodedMask]:
        try:
            for key, mask, image in read_masks(path, mask_format):
                if row := wanted.pop(key, None):
                    yield EncodedMask(row, mask, image)
        except Exception as error:
            if is_of_the_service(error):
                raise OutputLost(f"cannot read {path}: {in_words(error)}") from error
            raise _damaged(path, f"it cannot be read: {in_words(error)}") from error
        if wanted:
            raise _damaged(path, f"it lacks the mask of {min(wanted)!r}")

    return list(write_parts(output, masks(), functools.partial(append, output)))


def write_shard(output: str, shard: str, rows: list[MetricsRow], job: Job) -> None:
    """Writes a shard from parts, then its rows to the journal.

    Args:
        output: The output folder.
        shard: Path of the shard below it.
        rows: The rows of its masks, in any order.
        job: The settings.
    """
    rows = sorted(rows, key=lambda row: row.key)
    with gathered_file(output, shard) as file:
        records = map(_record, read_parts(output, rows))
        write_records(file, records, job.mask_format, job.with_images)
    write_packed(output, shard, [in_shard(row, shard) for row in rows])


def _damaged(path: str, why: str) -> OutputLost:
    return OutputLost(f"{path} is damaged: {why}; remove it, and its masks are made anew")


def _record(encoded: EncodedMask) -> MaskRecord:
    row, image = encoded.row, encoded.image
    member = member_of(row.item.mask)
    return MaskRecord(row.key, member, encoded.mask, row.size, image, format_of(row.key, image))


def format_of(key: str, image: bytes) -> str:
    """The format of an image by its first bytes, or else by its name; empty of none."""
    kind = kind_of(image).lower() if image else ""
    suffix = key[len(stem(key)) :].lower()
    return suffix[1:] if kind == "image" and suffix else kind


def in_shard(row: MetricsRow, shard: str) -> MetricsRow:
    """A row that says that its mask is in a shard."""
    stored = row.item.stored
    there = Stored(shard, 0, stored.mask_bytes, stored.image_bytes)
    return replace(row, item=replace(row.item, stored=there))
