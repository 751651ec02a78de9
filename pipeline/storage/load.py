"""Bytes from storage: image files, and TFRecord shards by chunks of a few records."""

from __future__ import annotations

import contextlib
import gzip
from collections.abc import Iterator, Mapping
from posixpath import basename
from types import MappingProxyType
from typing import BinaryIO

from apache_beam.io.filesystems import FileSystems

from pipeline.records import BadImage, Done, Failure, ImageRecord, Source, content_of
from pipeline.stages.journal import withdraw
from pipeline.storage.files import OutputLost
from pipeline.storage.mask_names import own_names
from pipeline.storage.tfrecord import PIECE, Features, parse, read_records

CHUNK = 32
# A file beyond this is no photo; a PNG of 100 megapixels may come near.
MAX_FILE_BYTES = 256 << 20
NOTHING: Mapping[str, str] = MappingProxyType({})


def index_shard(file: tuple[str, str]) -> Iterator[str | Source | Failure]:
    """The keys of a shard's records, and its chunks; a failure for a rest that is unreadable.

    Args:
        file: Path of the shard, and a folder, which is of no use here.
    """
    path, _ = file
    whole = path.lower().endswith(".gz")  # Compressed files cannot be entered in their middle.
    start = offset = first = number = 0
    try:
        with _open_shard(path) as opened:
            for taken, data in read_records(opened):
                yield _features(data, path, number)[0]
                offset, number = offset + taken, number + 1
                if number - first == CHUNK and not whole:
                    yield Source(path, offset=start, first=first, count=CHUNK)
                    start, first = offset, number
    except Exception as error:
        yield Failure.of(f"{path}#{number}", "read", error)
    if number > first:
        yield Source(path, offset=start, first=first, count=number - first)


def load(
    source: Source,
    taken: Mapping[str, int],
    finished: Mapping[str, str] = NOTHING,
    output: str = "",
) -> Iterator[ImageRecord | Done | Failure]:
    """Reads the images of a source.

    Args:
        source: An image file or a chunk of a shard.
        taken: What more than one image claims.
        finished: What an earlier run has finished: path of a mask to the content that it is of.
        output: The output folder.
    """
    images = _load_file(source, taken) if source.count is None else _load_chunk(source, taken)
    for image in images:
        if isinstance(image, Failure) or image.mask not in finished:
            yield image
        else:
            yield _unless_done(image, finished[image.mask], output)


def load_pair(
    pair: tuple[str, str | None, str | None], finished: Mapping[str, str] = NOTHING
) -> Iterator[ImageRecord | Done | Failure]:
    """Reads an existing mask, in place of an image, and its ground truth.

    Args:
        pair: Key, path of the mask, path of the ground truth; one of the two may be None.
        finished: As for ``load``.
    """
    key, mask, truth = pair
    try:
        if mask is None:
            raise BadImage("missing_mask", f"no mask for the truth {key}")
        if truth is None:
            raise BadImage("missing_truth", f"no truth for the mask {key}")
        image, truth_image = read_file(mask), read_file(truth)
        content = content_of(key, image, truth_image)
    except Exception as error:
        yield Failure.of(key, "read", error)
        return
    if finished.get(mask) == content:
        yield Done(mask)
    else:
        yield ImageRecord(key, mask, image, truth_image, content)


def lost(source: Source, count: int, error: Exception) -> Iterator[Failure]:
    """The failures of what is left of a source, of which so many images have come."""
    if source.count is None:
        yield Failure.of(source.path[len(source.root) :], "read", error)
        return
    for number in range(source.first + count, source.first + source.count):
        yield Failure.of(f"{source.path}#{number}", "read", error)


def read_file(path: str) -> bytes:
    """A file's bytes.

    Raises:
        BadImage: It is larger than any image that is decoded.
        OSError: It cannot be read.
    """
    with FileSystems.open(path, compression_type="uncompressed") as file:
        # Not all at once: what a file is said to hold would be set aside before it is there.
        parts, size = [], 0
        while part := file.read(PIECE):
            parts.append(part)
            size += len(part)
            if size > MAX_FILE_BYTES:
                limit = MAX_FILE_BYTES >> 20
                raise BadImage("too_large", f"a file of over {limit} MiB cannot be an image")
        return b"".join(parts)


def _unless_done(image: ImageRecord, content: str, output: str) -> ImageRecord | Done | Failure:
    """The image, if it is not what is finished, or if somebody has removed its mask."""
    try:
        if content and content != image.content and isinstance(image.truth, Failure):
            # What is finished is better than what could be made now.
            return image.truth
        if content != image.content:
            withdraw(output, image.key, image.mask)
        elif FileSystems.exists(FileSystems.join(output, image.mask)):
            return Done(image.mask)
        return image
    except OutputLost:
        raise
    except Exception as error:
        return Failure.of(image.key, "read", error)


def _load_file(source: Source, taken: Mapping[str, int]) -> Iterator[ImageRecord | Failure]:
    key, mask = own_names(source.path[len(source.root) :], taken, source.path)
    try:
        image = read_file(source.path)
    except Exception as error:
        yield Failure.of(key, "read", error)
        return
    truth: bytes | Failure | None = None
    try:
        truth = read_file(source.truth) if source.truth else None
    except Exception as error:
        # Without its truth an image still has a mask.
        truth = Failure.of(key, "read", error)
    yield ImageRecord(key, mask, image, truth, content_of(key, image, truth))


def _load_chunk(source: Source, taken: Mapping[str, int]) -> Iterator[ImageRecord | Failure]:
    count = 0
    try:
        with _open_shard(source.path) as file:
            file.seek(source.offset)
            for _, data in read_records(file):
                yield _record(data, source.path, source.first + count, taken)
                count += 1
                if count == source.count:
                    return
        raise BadImage("truncated_shard", "the shard has fewer records than when it was indexed")
    except Exception as error:  # The index could read it: the storage failed since.
        yield from lost(source, count, error)


def _record(
    data: bytes | BadImage, path: str, number: int, taken: Mapping[str, int]
) -> ImageRecord | Failure:
    key, features = _features(data, path, number)
    if isinstance(features, BadImage):
        return Failure.of(key, "read", features)
    key, mask = own_names(key, taken, f"{path}#{number}")
    if features.image is None:
        return Failure.of(key, "read", BadImage("missing_feature", "no image/encoded"))
    content = content_of(key, features.image, features.truth)
    return ImageRecord(key, mask, features.image, features.truth, content)


def _features(data: bytes | BadImage, path: str, number: int) -> tuple[str, Features | BadImage]:
    """The key of a record, made up if it has none, and what it holds."""
    unnamed = f"{basename(path)}#{number}"
    if isinstance(data, BadImage):
        return unnamed, data
    try:
        features = parse(data)
    except BadImage as error:
        return unnamed, error
    return features.key or unnamed, features


@contextlib.contextmanager
def _open_shard(path: str) -> Iterator[BinaryIO]:
    with FileSystems.open(path, compression_type="uncompressed") as file:
        if not path.lower().endswith(".gz"):
            yield file
            return
        # Beam's own reader takes a file that is cut short for one that ends.
        with gzip.GzipFile(fileobj=file) as unpacked:
            yield unpacked
