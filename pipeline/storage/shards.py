"""TFRecord shards: indexed by chunks of a few records, and read chunk by chunk."""

from __future__ import annotations

import contextlib
import gzip
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from posixpath import basename
from typing import BinaryIO

from apache_beam.io.filesystems import FileSystems

from pipeline.failures import Attempt, BadImage, Failure, attempt
from pipeline.records import ImageRecord, Item, Source, Truth, content_of
from pipeline.storage.mask_names import own_names
from pipeline.storage.tfrecord import HEAD_BYTES, Features, RawRecord, is_head, parse, read_records

CHUNK = 32
# The stage of a failure that stands for all records of a shard from some place on.
INDEX = "index"
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class Indexed:
    """A step of the index of a shard: the key of a record, or a chunk that is complete.

    Attributes:
        key: The key of one record, or None.
        chunk: The records since the last chunk, or None.
    """

    key: str | None = None
    chunk: Source | None = None


def index_shard(file: tuple[str, str]) -> Iterator[Attempt[Indexed]]:
    """Lists the keys of a shard's records and cuts the shard into chunks.

    A rest that cannot be read is one failure; the records before it are kept.

    Args:
        file: Path of the shard, and the folder of its pattern, which is not used.
    """
    path, _ = file
    start = offset = first = number = 0
    try:
        with _open_shard(path) as opened:
            # A compressed file cannot be entered in its middle.
            whole = isinstance(opened, gzip.GzipFile)
            for record in read_records(opened):
                yield Attempt(Indexed(key=_parsed(record, path, number)[0]))
                offset, number = offset + record.size, number + 1
                if number - first == CHUNK and not whole:
                    chunk = Source(path, offset=start, first=first, count=CHUNK)
                    yield Attempt(Indexed(chunk=chunk))
                    start, first = offset, number
    except Exception as error:
        yield Attempt(failure=Failure.of(f"{path}#{number}", INDEX, error))
    if number > first:
        rest = Source(path, offset=start, first=first, count=number - first)
        yield Attempt(Indexed(chunk=rest))


def read_chunk(source: Source, taken: Mapping[str, int]) -> Iterator[Attempt[ImageRecord]]:
    """Reads the images of a chunk.

    Args:
        source: A chunk of a shard.
        taken: What more than one image claims, see ``mask_names.claims``.
    """
    count = 0
    try:
        with _open_shard(source.path) as file:
            file.seek(source.offset)
            for record in read_records(file):
                yield _image_record(record, source.path, source.first + count, taken)
                count += 1
                if count == source.count:
                    return
        raise BadImage("truncated_shard", "the shard has fewer records than when it was indexed")
    except Exception as error:  # The index could read it: the storage failed since.
        yield from rest_of_chunk(source, count, error)


def rest_of_chunk(source: Source, count: int, error: Exception) -> Iterator[Attempt]:
    """Yields a failure for every record of a chunk after the first ``count``."""
    for number in range(source.first + count, source.first + source.count):
        yield Attempt(failure=Failure.of(f"{source.path}#{number}", "read", error))


def _image_record(
    record: RawRecord, path: str, number: int, taken: Mapping[str, int]
) -> Attempt[ImageRecord]:
    key, parsed = _parsed(record, path, number)
    if parsed.failure is not None:
        return parsed
    key, mask = own_names(key, taken, f"{path}#{number}")
    return attempt("read", key, _named_record, key, mask, parsed.result)


def _named_record(key: str, mask: str, features: Features) -> ImageRecord:
    if features.image is None:
        raise BadImage("missing_feature", "no image/encoded")
    truth = None if features.truth is None else Truth(features.truth)
    item = Item(key, mask, content_of(key, features.image, truth), truth)
    return ImageRecord(item, features.image)


def _parsed(record: RawRecord, path: str, number: int) -> tuple[str, Attempt[Features]]:
    """The key of a record, made of shard and number if it has none, and its features."""
    unnamed = f"{basename(path)}#{number}"
    parsed = attempt("read", unnamed, parse, record)
    return (parsed.result.key if parsed.result else "") or unnamed, parsed


@contextlib.contextmanager
def _open_shard(path: str) -> Iterator[BinaryIO]:
    with FileSystems.open(path, compression_type="uncompressed") as file:
        head = file.read(HEAD_BYTES)
        file.seek(0)
        if is_head(head) or not head.startswith(_GZIP):
            yield file
            return
        # Beam's own reader takes a truncated gzip file for a complete one.
        with gzip.GzipFile(fileobj=file) as unpacked:
            yield unpacked
