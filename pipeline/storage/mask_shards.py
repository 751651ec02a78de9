"""Shards of masks in formats that loaders of data sets read, and back.

A record has the image's key, its mask as PNG, the size of both, and where it is wanted the image as
it came. What is written depends on the records alone, to the byte.
"""

from __future__ import annotations

import io
import json
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import BinaryIO

from apache_beam.io.filesystems import FileSystems

from pipeline.output_layout import MASKS
from pipeline.storage.pieces import MAX_SKIPPED
from pipeline.storage.tfrecord import example_class, framed, parse, read_frames

SUFFIXES = {"tfrecord": "tfrecord", "webdataset": "tar", "parquet": "parquet"}
# Images of a row group of Parquet, and about so many bytes: a reader holds a group at a time.
GROUP_ROWS, GROUP_BYTES = 100, 32 << 20
# Of images in tars, where the format's name is none by which readers know a photo.
_SUFFIX_OF_FORMAT = {"jpeg": "jpg", "tiff": "tif", "jpeg2000": "jp2"}


@dataclass(frozen=True)
class MaskRecord:
    """What a shard says of an image.

    Attributes:
        key: The image's key.
        member: What its files in a WebDataset shard are called, up to their first dot.
        mask: The mask, as PNG.
        size: (width, height) of the mask, and of the upright image.
        image: The image as it came; empty if it is not kept.
        image_format: Its format, such as ``"jpeg"``; empty if it is not kept.
    """

    key: str
    member: str
    mask: bytes
    size: tuple[int, int]
    image: bytes = b""
    image_format: str = ""


def shard_name(number: int, count: int, mask_format: str) -> str:
    """Path of a shard below the output folder."""
    return f"{MASKS}/masks-{number:05d}-of-{count:05d}.{SUFFIXES[mask_format]}"


def shard_of(key: str, count: int, mask_format: str) -> str:
    """Path below the output folder of the shard that holds an image's mask, of so many shards."""
    return shard_name(zlib.crc32(key.encode(errors="surrogatepass")) % count, count, mask_format)


def text_of(key: str) -> str:
    """A key as shards have it, which hold UTF-8 only."""
    return key.encode(errors="backslashreplace").decode()


def write_records(
    file: BinaryIO, records: Iterable[MaskRecord], mask_format: str, with_images: bool
) -> None:
    """Writes a shard, one record or group of rows after the other.

    Args:
        file: Where to.
        records: The records, in their order. Few are held at a time.
        mask_format: One of ``SUFFIXES``.
        with_images: Whether there are images.
    """
    if mask_format == "tfrecord":
        for record in records:
            file.writelines(framed(_example(record)))
    elif mask_format == "webdataset":
        _write_tar(file, records)
    else:
        _write_parquet(file, records, with_images)


def read_masks(path: str, mask_format: str) -> Iterator[tuple[str, bytes, bytes]]:
    """Key, mask and image of each record of a shard that ``write_records`` wrote.

    Raises:
        Exception: The shard is damaged, or cannot be read.
    """
    read = {"tfrecord": _read_tfrecord, "webdataset": _read_tar, "parquet": _read_parquet}
    with FileSystems.open(path, compression_type="uncompressed") as file:
        yield from read[mask_format](file)


def _example(record: MaskRecord) -> bytes:
    """A ``tf.train.Example`` with the names of the TF Object Detection API."""
    width, height = record.size
    features = {
        "image/filename": text_of(record.key).encode(),
        "image/width": width,
        "image/height": height,
        "image/segmentation/class/encoded": record.mask,
    }
    if record.image:
        features["image/encoded"] = record.image
        features["image/format"] = record.image_format.encode()
    example = example_class()()
    for name, value in features.items():
        feature = example.features.feature[name]
        if isinstance(value, int):
            feature.int64_list.value.append(value)
        else:
            feature.bytes_list.value.append(value)
    return example.SerializeToString(deterministic=True)


def _read_tfrecord(file: BinaryIO) -> Iterator[tuple[str, bytes, bytes]]:
    for frame in read_frames(file, MAX_SKIPPED):
        features = parse(frame)
        yield features.key, features.truth.encoded, features.image or b""


def _write_tar(file: BinaryIO, records: Iterable[MaskRecord]) -> None:
    with tarfile.open(fileobj=file, mode="w") as tar:
        for record in records:
            width, height = record.size
            facts = {"key": text_of(record.key), "width": width, "height": height}
            members = {"json": json.dumps(facts).encode(), "mask.png": record.mask}
            if record.image:
                suffix = _SUFFIX_OF_FORMAT.get(record.image_format, record.image_format)
                members[suffix] = record.image
            for suffix, data in members.items():
                member = tarfile.TarInfo(f"{record.member}.{suffix}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))


def _read_tar(file: BinaryIO) -> Iterator[tuple[str, bytes, bytes]]:
    def members() -> Iterator[tuple[str, str, bytes]]:
        with tarfile.open(fileobj=file, mode="r|") as tar:
            for member in tar:
                folder, slash, name = member.name.rpartition("/")
                stem, _, suffix = name.partition(".")
                yield folder + slash + stem, suffix, tar.extractfile(member).read()

    for _, group in groupby(members(), key=lambda one: one[0]):
        found = {suffix: data for _, suffix, data in group}
        key = json.loads(found.pop("json"))["key"]
        yield key, found.pop("mask.png"), next(iter(found.values()), b"")


def _write_parquet(file: BinaryIO, records: Iterable[MaskRecord], with_images: bool) -> None:
    # Imported here because who writes no Parquet does not need it.
    import pyarrow as pa
    import pyarrow.parquet as pq

    encoded = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    columns = {"name": pa.string(), "image": encoded, "mask": encoded}
    columns |= {"width": pa.int32(), "height": pa.int32()}
    if not with_images:
        del columns["image"]
    # As the library ``datasets`` writes it: without it, images would be shown as bytes.
    kinds = {encoded: {"_type": "Image"}, pa.string(): {"dtype": "string", "_type": "Value"}}
    kinds[pa.int32()] = {"dtype": "int32", "_type": "Value"}
    features = {name: kinds[kind] for name, kind in columns.items()}
    facts = json.dumps({"info": {"features": features}})
    schema = pa.schema(columns.items(), {"huggingface": facts})
    # PNG and JPEG do not get smaller.
    with pq.ParquetWriter(file, schema, compression="none", use_dictionary=False) as writer:
        for group in _groups(records):
            writer.write_batch(pa.RecordBatch.from_pylist(group, schema), row_group_size=GROUP_ROWS)


def _groups(records: Iterable[MaskRecord]) -> Iterator[list[dict]]:
    """Rows of Parquet, a group at a time."""
    rows, size = [], 0
    for record in records:
        key, (width, height) = text_of(record.key), record.size
        row = {"name": key, "width": width, "height": height}
        row["mask"] = {"bytes": record.mask, "path": f"{record.member}.mask.png"}
        if record.image:
            row["image"] = {"bytes": record.image, "path": key}
        rows.append(row)
        size += len(record.mask) + len(record.image)
        if len(rows) == GROUP_ROWS or size >= GROUP_BYTES:
            yield rows
            rows, size = [], 0
    if rows:
        yield rows


def _read_parquet(file: BinaryIO) -> Iterator[tuple[str, bytes, bytes]]:
    import pyarrow.parquet as pq

    parquet = pq.ParquetFile(file)
    for number in range(parquet.num_row_groups):
        for row in parquet.read_row_group(number).to_pylist():
            yield row["name"], row["mask"]["bytes"], (row.get("image") or {}).get("bytes", b"")
