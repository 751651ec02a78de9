"""TFRecord shards: their framing, and the features of the TF Object Detection API."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import google_crc32c

from model.inference.tensorflow_notices import without_notices
from pipeline.failures import BadImage
from pipeline.tally import add

# A longer record is skipped: a hostile one takes 16 times its bytes in memory once it is parsed.
MAX_RECORD_BYTES = 64 << 20
# A longer record ends the shard. Skipping it could take hours, of a compressed file most of all.
MAX_LENGTH = 1 << 30
# Bytes of the head of a record.
HEAD_BYTES = 12
# Bytes of one read. A single read would reserve as much memory as the record claims to have.
PIECE = 1 << 20


@dataclass(frozen=True)
class Features:
    """What a record holds.

    Attributes:
        key: ``image/filename``, else ``image/source_id``; empty if it has neither.
        image: ``image/encoded``, or None.
        truth: ``image/segmentation/class/encoded``, or None.
    """

    key: str
    image: bytes | None
    truth: bytes | None


@dataclass(frozen=True)
class RawRecord:
    """One record of a shard, not yet parsed.

    Attributes:
        size: Bytes that the record takes in the file, framing included.
        data: The serialized example; empty if ``fault`` is set.
        fault: Why the record alone cannot be used, or None. The file can be read on after it.
    """

    size: int
    data: bytes = b""
    fault: BadImage | None = None


def read_records(file: BinaryIO) -> Iterator[RawRecord]:
    """Reads the records of a file from where it stands.

    The framing is TensorFlow's: length (uint64), its masked CRC32-C, data, their masked CRC32-C,
    all little-endian.

    Args:
        file: The opened file.

    Yields:
        Each record. One that is too long, or whose data do not match their checksum, has a
        ``fault`` and no data.

    Raises:
        BadImage: The file ends within a record, or a length does not match its checksum or cannot
            be true, so that what follows cannot be read.
    """
    while head := _read(file, HEAD_BYTES):
        if len(head) < HEAD_BYTES:
            raise BadImage("truncated_shard", "the shard ends within the head of a record")
        length = int.from_bytes(head[:8], "little")
        if not is_head(head):
            raise BadImage("broken_shard", "a record's length is not what its checksum says")
        if length > MAX_LENGTH:
            raise BadImage("broken_shard", f"a record of {length} bytes cannot be an image")
        too_long = length > MAX_RECORD_BYTES
        data = _skip(file, length) if too_long else _read(file, length)
        crc = _read(file, 4)
        if len(crc) < 4:
            raise BadImage("truncated_shard", "the shard ends within a record")
        add("bytes_read", length + 16)
        if too_long:
            text = f"a record of {length} bytes; at most {MAX_RECORD_BYTES} are read"
            yield RawRecord(length + 16, fault=BadImage("too_large", text))
        elif _masked_crc(data) != int.from_bytes(crc, "little"):
            fault = BadImage("broken_record", "the record's checksum does not match")
            yield RawRecord(length + 16, fault=fault)
        else:
            yield RawRecord(length + 16, data)


def is_head(data: bytes) -> bool:
    """Whether data begin with the head of a record: its length, and the length's checksum."""
    checksum = int.from_bytes(data[8:HEAD_BYTES], "little")
    return len(data) >= HEAD_BYTES and _masked_crc(data[:8]) == checksum


def parse(record: RawRecord) -> Features:
    """Reads the ``tf.train.Example`` of a record.

    Raises:
        BadImage: The record has a fault, or is no such message.
    """
    if record.fault is not None:
        raise record.fault
    example = _example()
    try:
        features = example.FromString(record.data).features.feature
    except Exception as error:
        raise BadImage("not_an_example", "the record is no tf.train.Example") from error

    def first(name: str) -> bytes | None:
        values = features[name].bytes_list.value if name in features else ()
        return values[0] if values else None

    key = first("image/filename") or first("image/source_id") or b""
    return Features(
        key.decode(errors="replace"),
        first("image/encoded"),
        first("image/segmentation/class/encoded"),
    )


@functools.cache
def _example():
    # Imported here so that building a graph loads no TensorFlow.
    with without_notices():
        from tensorflow.train import Example

    return Example


def _read(file: BinaryIO, size: int) -> bytes:
    """That many bytes, or fewer at the end of the file."""
    pieces = []
    while size > 0 and (piece := file.read(min(size, PIECE))):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _skip(file: BinaryIO, size: int) -> bytes:
    """Reads on over that many bytes, or to the end of the file; returns none of them."""
    while size > 0 and (piece := file.read(min(size, PIECE))):
        size -= len(piece)
    return b""


def _masked_crc(data: bytes) -> int:
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
