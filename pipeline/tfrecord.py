"""TFRecord shards: their framing, and the features of the TF Object Detection API."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import google_crc32c

from pipeline.records import BadImage

# A length beyond this is a broken record, not a photo.
MAX_RECORD_BYTES = 1 << 30


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


def read_records(file: BinaryIO) -> Iterator[tuple[int, bytes | BadImage]]:
    """Records of a file from where it stands.

    The framing is TensorFlow's: length (uint64), its masked CRC32-C, data, their masked CRC32-C,
    all little-endian.

    Args:
        file: The opened file.

    Yields:
        (bytes that the record takes in the file, data). A record whose data do not match their
        checksum comes as a ``BadImage`` in their place, and the file goes on after it.

    Raises:
        BadImage: The file ends within a record, or a length does not match its checksum, so that
            what follows cannot be read.
    """
    while head := file.read(12):
        if len(head) < 12:
            raise BadImage("truncated_shard", "the shard ends within the head of a record")
        length, length_crc = struct.unpack("<QI", head)
        if _masked_crc(head[:8]) != length_crc:
            raise BadImage("broken_shard", "a record's length is not what its checksum says")
        if length > MAX_RECORD_BYTES:
            raise BadImage("broken_shard", f"a record of {length} bytes cannot be an image")
        body = file.read(length + 4)
        if len(body) < length + 4:
            raise BadImage("truncated_shard", "the shard ends within a record")
        data, (data_crc,) = body[:length], struct.unpack("<I", body[length:])
        intact = _masked_crc(data) == data_crc
        yield (
            length + 16,
            data if intact else BadImage("broken_record", "the record's checksum does not match"),
        )


def parse(data: bytes) -> Features:
    """Reads a serialized ``tf.train.Example``.

    Raises:
        BadImage: It is none.
    """
    # Loaded where shards are read, so that building a graph needs no TensorFlow.
    from tensorflow.train import Example

    try:
        features = Example.FromString(data).features.feature
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


def _masked_crc(data: bytes) -> int:
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
