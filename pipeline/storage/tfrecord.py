"""TFRecord shards: their framing, and the features of the TF Object Detection API."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import google_crc32c

from pipeline.failures import BadImage
from pipeline.records import Truth
from pipeline.storage.example_message import example_class
from pipeline.storage.pieces import MAX_SKIPPED, read_bytes, skip_bytes
from pipeline.storage.raw_records import (
    BY_CONVENTION,
    MAX_RECORD_BYTES,
    Features,
    Fields,
    RawRecord,
    missing,
    too_large,
)
from pipeline.tally import add

IMAGE, TRUTH = "image/encoded", "image/segmentation/class/encoded"
NAMES = ("image/filename", "image/source_id")
# Bytes of the head of a record.
HEAD_BYTES = 12


@dataclass(frozen=True)
class Frame:
    """What the framing holds of one record.

    Attributes:
        size: Bytes that the record takes in the file, framing included.
        data: The serialized example; empty if ``fault`` is set.
        fault: Why the record alone cannot be used, or None. The file can be read on after it.
    """

    size: int
    data: bytes = b""
    fault: BadImage | None = None


def read_records(file: BinaryIO, start: int, fields: Fields) -> Iterator[RawRecord]:
    """The records of a shard.

    Args:
        file: The opened shard, unpacked.
        start: Where in it the first record begins.
        fields: The features that are meant.

    Raises:
        BadImage: As of ``read_frames``.
    """
    if start:
        file.seek(start)
    for frame in read_frames(file):
        start += frame.size
        yield RawRecord(start, frame.size, functools.partial(parse, frame, fields))


def read_frames(file: BinaryIO, longest: int | None = None) -> Iterator[Frame]:
    """Reads the records of a file from where it stands.

    The framing is TensorFlow's: length (uint64), its masked CRC32-C, data, their masked CRC32-C,
    all little-endian.

    Args:
        file: The opened file.
        longest: Bytes of the longest record that is not skipped; None for ``MAX_RECORD_BYTES``.

    Yields:
        Each record. One that is too long, or whose data do not match their checksum, has a
        ``fault`` and no data.

    Raises:
        BadImage: The file ends within a record, or a length does not match its checksum or cannot
            be true, so that what follows cannot be read.
    """
    longest = MAX_RECORD_BYTES if longest is None else longest
    while head := read_bytes(file, HEAD_BYTES):
        if len(head) < HEAD_BYTES:
            raise BadImage("truncated_shard", "the shard ends within the head of a record")
        length = int.from_bytes(head[:8], "little")
        if not is_head(head):
            raise BadImage("broken_shard", "a record's length is not what its checksum says")
        if length > MAX_SKIPPED:
            raise BadImage("broken_shard", f"a record of {length} bytes cannot be an image")
        too_long, data = length > longest, b""
        if too_long:
            skip_bytes(file, length)
        else:
            data = read_bytes(file, length)
        crc = read_bytes(file, 4)
        if len(crc) < 4:
            raise BadImage("truncated_shard", "the shard ends within a record")
        add("bytes_read", length + 16)
        if too_long:
            yield Frame(length + 16, fault=too_large("a record", length))
        elif _masked_crc(data) != int.from_bytes(crc, "little"):
            fault = BadImage("broken_record", "the record's checksum does not match")
            yield Frame(length + 16, fault=fault)
        else:
            yield Frame(length + 16, data)


def framed(data: bytes) -> Iterator[bytes]:
    """A record as it stands in a shard, in pieces; see ``read_frames``."""
    length = len(data).to_bytes(8, "little")
    yield length
    yield _masked_crc(length).to_bytes(4, "little")
    yield data
    yield _masked_crc(data).to_bytes(4, "little")


def is_head(data: bytes) -> bool:
    """Whether data begin with the head of a record: its length, and the length's checksum."""
    checksum = int.from_bytes(data[8:HEAD_BYTES], "little")
    return len(data) >= HEAD_BYTES and _masked_crc(data[:8]) == checksum


def parse(frame: Frame, fields: Fields = BY_CONVENTION) -> Features:
    """Reads the ``tf.train.Example`` of a record.

    Args:
        frame: The record.
        fields: The features that are meant. By convention the image is ``image/encoded``, the
            truth ``image/segmentation/class/encoded``, and the name ``image/filename``, or else
            ``image/source_id``.

    Raises:
        BadImage: The record has a fault, or is no such message.
    """
    if frame.fault is not None:
        raise frame.fault
    example = example_class()
    try:
        features = example.FromString(frame.data).features.feature
    except Exception as error:
        raise BadImage("not_an_example", "the record is no tf.train.Example") from error

    def first(name: str) -> bytes | None:
        values = features[name].bytes_list.value if name in features else ()
        return values[0] if values else None

    named = (first(name) for name in ((fields.name,) if fields.name else NAMES))
    key = next(filter(None, named), b"")
    image, truth = first(fields.image or IMAGE), first(fields.truth or TRUTH)
    return Features(
        key.decode(errors="replace"),
        image,
        None if truth is None else Truth(truth),
        missing(fields.image or IMAGE, "image_field", list(features)) if image is None else None,
    )


def _masked_crc(data: bytes) -> int:
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
