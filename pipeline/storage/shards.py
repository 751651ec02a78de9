"""Shards of any format: read record by record, and large ones cut into chunks before that."""

from __future__ import annotations

import contextlib
import gzip
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import BinaryIO

from apache_beam.io.filesystems import FileSystems

from pipeline.failures import Attempt, BadImage, EndsJob, Failure, InputLost, attempt
from pipeline.records import Chunk, ImageRecord, Item, Origin, Source, content_of
from pipeline.storage import parquet, tfrecord, webdataset
from pipeline.storage.errors import pause_or_raise, persistently
from pipeline.storage.mask_names import Named, RecordNames, plain_name
from pipeline.storage.raw_records import BY_CONVENTION, Features, Fields, RawRecord

# The stage of a failure that stands for all records of a shard from some place on.
INDEX = "index"
# Larger shards are cut: they keep one worker busy for minutes while others may have nothing to do.
CUT_BYTES = 256 << 20
# Bytes of a chunk, at least.
CHUNK_BYTES = 64 << 20
# By format: what reads the records from a place on, and what reads as little as names need.
Reader = Callable[[BinaryIO, int, Fields], Iterator[RawRecord]]
RECORDS: dict[str, Reader] = {
    "tfrecord": tfrecord.read_records,
    "webdataset": webdataset.read_records,
    "parquet": parquet.read_records,
}
NAMES: dict[str, Reader] = {
    "tfrecord": tfrecord.read_records,
    "webdataset": webdataset.read_names,
    "parquet": parquet.read_names,
}
# Records among which one has to have an image, before a job begins.
ENOUGH = 100
_GZIP = b"\x1f\x8b"


def read_shard(source: Source, fields: Fields = BY_CONVENTION) -> Iterator[Attempt[ImageRecord]]:
    """Reads the images of a shard, or of a chunk of it.

    A part that cannot be read is one failure; the records before it are kept.

    Args:
        source: The shard.
        fields: What is meant in its records.
    """
    chunk, number = source.chunk, source.chunk.first
    names = _Names(source)
    # One is held back until it is known whether it is the last.
    held: tuple[RawRecord, int] | None = None
    try:
        for raw in raw_records(source, fields, chunk.offset):
            if held is not None:
                yield _to_image(source, names, *held)
            held = None
            if number - chunk.first == chunk.count:
                return
            if raw.lost is not None:
                yield rest_of_shard(source, number - chunk.first, raw.lost)
            else:
                held = raw, number
            number += raw.count
        if chunk.count is not None and number - chunk.first < chunk.count:
            raise BadImage("truncated_shard", "the shard has fewer records than when it was cut")
    except EndsJob:
        raise
    except Exception as error:
        if held is not None:
            yield _to_image(source, names, *held)
        yield rest_of_shard(source, number - chunk.first, error)
    else:
        if held is not None:
            yield _to_image(source, names, *held, is_last=chunk.is_last)


def rest_of_shard(source: Source, count: int, error: Exception) -> Attempt:
    """The failure that stands for records of a source after the first ``count``.

    They are all that follow, or as many as cannot be read.
    """
    return Attempt(failure=Failure.of(f"{source.path}#{source.chunk.first + count}", INDEX, error))


def cut_shard(source: Source, fields: Fields = BY_CONVENTION) -> Iterator[Attempt[Source]]:
    """Cuts a shard into chunks, each a source. A compressed one comes back as it is.

    The names of a shard that is cut are read first: of TFRecord all, else little more than they.
    A compressed one cannot be entered in its middle. A rest that cannot be read is one failure.

    Args:
        source: The shard.
        fields: What is meant in its records.
    """
    number = first = start = size = 0
    names, renamed = RecordNames(Named(source.key, source.mask)), []
    try:
        if is_compressed(source.path):
            yield Attempt(source)
            return
        offset = 0
        for raw in raw_records(source, fields, readers=NAMES):
            if size >= CHUNK_BYTES and raw.is_entry:
                yield Attempt(_chunk(source, start, first, number, renamed))
                start, first, size, renamed = offset, number, 0, []
            if raw.lost is None:
                renamed += _renamed(source, raw, number, names)
            offset, number, size = raw.after, number + raw.count, size + raw.size
    except EndsJob:
        raise
    except Exception as error:
        if number > first:
            yield Attempt(_chunk(source, start, first, number, renamed))
        yield rest_of_shard(source, number, error)
    else:
        yield Attempt(_chunk(source, start, first, number, renamed, is_last=True))


def check_shard(path: str, form: str, fields: Fields) -> None:
    """Reads as much of a shard as shows whether it holds images where they are looked for.

    Args:
        path: The shard.
        form: Its format.
        fields: What is meant in its records.

    Raises:
        BadImage: It holds none; the message says what is there.
        Exception: It cannot be read.
    """
    fault = None
    source = Source(path, "", "", chunk=Chunk(form=form))
    for raw in itertools.islice(raw_records(source, fields), ENOUGH):
        if raw.lost is not None:
            raise raw.lost
        features = raw.parse()
        if features.fault is None or features.fault.reason != "missing_feature":
            return
        fault = fault or features.fault
    if fault is not None:
        raise fault


def pick_records(
    path: str, form: str, fields: Fields, numbers: Iterable[int], most_bytes: int
) -> Iterator[tuple[int, Features]]:
    """Reads some records of a shard.

    Args:
        path: The shard.
        form: Its format.
        fields: What is meant in its records.
        numbers: Of the records.
        most_bytes: A record of TFRecord or WebDataset that ends later in the shard is left out: the
            shard has to be read up to it.

    Raises:
        Exception: The shard cannot be read so far.
    """
    wanted, source = set(numbers), Source(path, "", "", chunk=Chunk(form=form))
    if form == "parquet":
        for number in sorted(wanted):
            raw = next(raw_records(source, fields, number), None)
            if raw is not None and raw.lost is None:
                yield number, raw.parse()
        return
    number = 0
    for raw in raw_records(source, fields):
        if raw.after > most_bytes:
            return
        if raw.lost is None and number in wanted:
            yield number, raw.parse()
        number += raw.count
        if number > max(wanted):
            return


def _chunk(
    source: Source, start: int, first: int, end: int, renamed: list, *, is_last: bool = False
) -> Source:
    form = source.chunk.form
    chunk = Chunk(start, first, end - first, is_last, tuple(renamed), form)
    finished = tuple(one for one in source.finished if first <= one.row.item.origin.number < end)
    return replace(source, chunk=chunk, finished=finished)


class _Names:
    """The names of the records of a source, in their order."""

    def __init__(self, source: Source):
        self._shard = Named(source.key, source.mask)
        # Of a chunk, the cut knows which names others of the shard have, too.
        self._in_order = RecordNames(self._shard) if source.chunk.count is None else None
        self._renamed = {at: Named(key, mask) for at, key, mask in source.chunk.renamed}

    def name(self, own: str, number: int) -> Named:
        if self._in_order is not None:
            return self._in_order.name(own, number)
        return self._renamed.get(number) or plain_name(self._shard, own, number)


def _renamed(
    source: Source, raw: RawRecord, number: int, names: RecordNames
) -> list[tuple[int, str, str]]:
    """Number, key and mask of a record whose names others have, too."""
    parsed = attempt("read", "", raw.parse)
    own = parsed.result.key if parsed.result else ""
    named = names.name(own, number)
    plain = plain_name(Named(source.key, source.mask), own, number)
    return [] if named == plain else [(number, *named)]


def _to_image(
    source: Source, names: _Names, raw: RawRecord, number: int, *, is_last: bool = False
) -> Attempt[ImageRecord]:
    parsed = attempt("read", "", raw.parse)
    key, mask = names.name(parsed.result.key if parsed.result else "", number)
    if parsed.failure is not None:
        return Attempt(failure=replace(parsed.failure, key=key))
    origin = Origin(source.mask, source.stamp, number, is_last, source.path)
    return attempt("read", key, _image_record, Item(key, mask, origin=origin), parsed.result)


def _image_record(item: Item, features: Features) -> ImageRecord:
    if features.fault is not None or features.image is None:
        raise features.fault or BadImage("missing_feature", "the record holds no image")
    content = content_of(item.key, features.image, features.truth)
    item = replace(item, content=content, truth=features.truth)
    return ImageRecord(item, features.image)


def raw_records(
    source: Source, fields: Fields, offset: int = 0, readers: dict[str, Reader] = RECORDS
) -> Iterator[RawRecord]:
    """The records of a shard from some place on.

    After a transient error of the storage, reading goes on with the record that it came in.

    Args:
        source: The shard.
        fields: What is meant in its records.
        offset: Where the first one begins.
        readers: ``RECORDS`` or ``NAMES``.

    Raises:
        BadImage: What follows cannot be read.
        InputLost: No other shard could be read there, either.
        Exception: The storage fails.
    """
    tries = 0
    while True:
        try:
            with open_shard(source.path) as file:
                for raw in readers[source.chunk.form](file, offset, fields):
                    offset, tries = raw.after, 0
                    yield raw
            return
        except BadImage:
            raise
        except Exception as error:
            tries += 1
            pause_or_raise(error, tries, InputLost, source.path)


def is_compressed(path: str) -> bool:
    """Whether a shard is packed with gzip, so that it can only be read from its beginning."""

    def ask() -> bool:
        with open_shard(path) as file:
            return isinstance(file, gzip.GzipFile)

    return persistently(ask, InputLost, path)


@contextlib.contextmanager
def open_shard(path: str) -> Iterator[BinaryIO]:
    """Opens a shard; a compressed one is known by its first bytes."""
    with FileSystems.open(path, compression_type="uncompressed") as file:
        head = file.read(tfrecord.HEAD_BYTES)
        file.seek(0)
        if tfrecord.is_head(head) or not head.startswith(_GZIP):
            yield file
            return
        # Beam's own reader takes a truncated gzip file for a complete one.
        with gzip.GzipFile(fileobj=file) as unpacked:
            yield unpacked
