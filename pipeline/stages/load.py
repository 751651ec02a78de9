"""Reads images from files of their own or from shards, and existing masks to be scored."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import apache_beam as beam
from apache_beam.metrics import Metrics

from pipeline.failures import Attempt, BadImage, Failure, attempt
from pipeline.progress_counts import count
from pipeline.records import (
    Chunk,
    Finished,
    ImageRecord,
    Item,
    MetricsRow,
    Origin,
    Source,
    Truth,
    content_of,
)
from pipeline.stages.outcomes import split_attempts
from pipeline.stages.resume import KEPT
from pipeline.stages.timed_reads import TimedReads
from pipeline.storage.files import read_file
from pipeline.storage.journal_files import withdraw
from pipeline.storage.raw_records import BY_CONVENTION, Fields
from pipeline.storage.shards import read_shard, rest_of_shard
from pipeline.storage.truth_shards import read_truth

# Enough to hide the latency of object stores.
AT_ONCE = 8
# A shard counts as so many images: each may hold a row group of photos in memory.
SHARD = 4


class Loaded(NamedTuple):
    """An ``Outcome``, and the rows of the images that turned out to be finished.

    Attributes:
        results: ``ImageRecord`` of the images that are to be done.
        failures: ``Failure`` of the images that cannot be read.
        rows: ``MetricsRow`` of those that are finished.
        renewed: Likewise, where the listing says something else of the file than before.
    """

    results: beam.PCollection
    failures: beam.PCollection
    rows: beam.PCollection
    renewed: beam.PCollection


@dataclass(frozen=True)
class Kept:
    """An image that turned out to be finished.

    Attributes:
        row: Its row.
        is_renewed: Whether the row should be in the journal anew.
    """

    row: MetricsRow
    is_renewed: bool


class Load(beam.PTransform):
    """``Source`` to ``ImageRecord``; of masks that are scored, with the mask as the image.

    Args:
        output: The output folder.
        scores: Whether existing masks are scored.
        timeout: Seconds that the read of an image may take.
        fields: What is meant in the records of shards.
    """

    def __init__(
        self, output: str, *, scores: bool, timeout: float, fields: Fields = BY_CONVENTION
    ):
        super().__init__()
        self.output = output
        self.scores = scores
        self.timeout = timeout
        self.fields = fields

    def expand(self, sources) -> Loaded:
        """Reads, and leaves out what turns out to be finished."""
        reads = TimedReads(
            functools.partial(load, output=self.output, scores=self.scores, fields=self.fields),
            ahead=AT_ONCE,
            at_once=AT_ONCE,
            name="read",
            timeout=self.timeout,
            on_timeout=rest_of_source,
            counter="read",
            weight=_weight,
        )
        loaded = split_attempts(sources, "Read", reads)
        images, kept, renewed = loaded.results | beam.Partition(_kind, 3)
        return Loaded(
            images,
            loaded.failures,
            kept | "Kept" >> beam.Map(_kept_row),
            renewed | "Renewed" >> beam.Map(_kept_row),
        )


def load(
    source: Source, output: str, scores: bool, fields: Fields = BY_CONVENTION
) -> Iterator[Attempt[ImageRecord | Kept]]:
    """Reads the images of a source; those that an earlier run has finished are kept.

    Args:
        source: What to read.
        output: The output folder.
        scores: As for ``Load``.
        fields: As for ``Load``.
    """
    finished = {one.row.item.mask: one for one in source.finished}
    for one in read_source(source, scores, fields):
        before = finished.get(one.result.item.mask) if one.failure is None else None
        if before is None:
            yield one
        else:
            key = one.result.item.key
            yield attempt("read", key, _compared, one.result, before, output, scores)


def read_source(
    source: Source, scores: bool = False, fields: Fields = BY_CONVENTION
) -> Iterator[Attempt[ImageRecord]]:
    """Reads the images of a source.

    Args:
        source: An image file, a shard, or a mask to be scored.
        scores: Whether it is a mask to be scored.
        fields: What is meant in the records of a shard.
    """
    if source.chunk is not None:
        yield from _counted(source, read_shard(source, fields))
    else:
        yield attempt("read", source.key, _read_pair if scores else _read_photo, source, fields)


def rest_of_source(source: Source, brought: int, error: Exception) -> Iterator[Attempt]:
    """The failure that stands for every image of a source after the first ``brought``."""
    if source.chunk is not None:
        _count_end(source.chunk, brought + 1)
        yield rest_of_shard(source, brought, error)
    else:
        yield Attempt(failure=Failure.of(source.key, "read", error))


def _counted(source: Source, attempts: Iterator[Attempt]) -> Iterator[Attempt]:
    """The images of a shard, which are counted for the progress that is shown."""
    number = 0
    for one in attempts:
        number += 1
        if source.chunk.count is None:
            count("images")
            count("records")
        yield one
    _count_end(source.chunk, number)


def _count_end(chunk: Chunk, number: int) -> None:
    """Counts that no more come than a number of images, whatever was known before."""
    if chunk.count is None:
        count("shards_read")
    else:
        count("images", number - chunk.count)


def _compared(
    image: ImageRecord, before: Finished, output: str, scores: bool
) -> ImageRecord | Kept:
    """The image if it is to be done, or its row if it is finished."""
    item, old = image.item, before.row.item
    if old.content == item.content and before.mask_is_there:
        row = replace(before.row, item=replace(old, origin=item.origin))
        return Kept(row, is_renewed=old.origin != item.origin)
    if old.content and old.content != item.content:
        unread = item.truth is not None and item.truth.failure is not None
        if unread and before.row.level_counts is not None:
            # The finished row has figures. Without its truth the image would get a poorer one.
            raise BadImage(item.truth.failure.reason, item.truth.failure.message)
        if not scores:
            withdraw(output, before.row)
    return image


def _read_photo(source: Source, fields: Fields) -> ImageRecord:
    image = read_file(source.path)
    truth = None if source.truth is None else _read_truth(source.key, source.truth, fields)
    if source.truth_fault:
        error = BadImage("ambiguous_truth", source.truth_fault)
        truth = Truth(failure=Failure.of(source.key, "read", error))
    return _record(source, image, truth)


def _read_truth(key: str, path: str, fields: Fields) -> Truth | None:
    """A truth that cannot be read says why: without it, the image still gets a mask."""
    read = attempt("read", key, read_truth, path, fields)
    if read.failure is not None:
        return Truth(failure=read.failure)
    return None if read.result is None else Truth(read.result)


def _read_pair(source: Source, fields: Fields) -> ImageRecord:
    truth = read_truth(source.truth, fields)
    if truth is None:
        raise BadImage("missing_truth", f"the record of the truth is empty: {source.truth}")
    mask = read_truth(source.path, fields)
    if mask is None:
        raise BadImage("missing_mask", f"the record of the mask is empty: {source.path}")
    return _record(source, mask, Truth(truth))


def _record(source: Source, image: bytes, truth: Truth | None) -> ImageRecord:
    content = content_of(source.key, image, truth)
    # Of a truth that cannot be read now nobody knows what it is, so it is read again on a resume.
    unread = truth is not None and truth.failure is not None
    stamp, truth_path = "" if unread else source.stamp, source.truth or ""
    origin = Origin(source.mask, stamp, path=source.path, truth=truth_path)
    return ImageRecord(Item(source.key, source.mask, content, truth, origin=origin), image)


def _weight(source: Source) -> int:
    return 1 if source.chunk is None else SHARD


def _kind(loaded: ImageRecord | Kept, _: int) -> int:
    return 1 + loaded.is_renewed if isinstance(loaded, Kept) else 0


def _kept_row(kept: Kept) -> MetricsRow:
    Metrics.counter("images", KEPT).inc()
    count("kept")
    return kept.row
