"""What is said at a job's end of images that are done."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.records import MetricsRow, Note
from pipeline.storage.raw_records import MAX_RECORD_BYTES


def notes_of_row(row: MetricsRow) -> Iterator[Note]:
    """Notes on an image that has a row."""
    item = row.item
    # The record that was paired with it is empty.
    if item.origin.truth and row.status == "ok" and row.level_counts is None:
        yield Note("images have no ground truth", item.origin.path)
    if item.stored is not None and item.stored.image_bytes > MAX_RECORD_BYTES:
        limit = MAX_RECORD_BYTES >> 20
        kind = f"images in the shards are larger than {limit} MiB, and no input of another job"
        yield Note(kind, row.key)
