"""Objects in the buckets of Google and Amazon: one request reads one, and one writes one.

Beam's files take two requests for a read, and two (Google) or three (Amazon) for a write. They make
a client for every file, which takes a fifth of a second of computing with boto3. And they publish
what was written so far when a write is interrupted. So Beam makes a client once, and its client is
used here.
"""

from __future__ import annotations

import functools
import io
import os
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems

from pipeline.failures import BadImage

SCHEMES = ("gs", "s3")
_TYPE = "application/octet-stream"
# Names that Cloud Storage deletes in one request, and requests at a time.
_BATCH, _AT_ONCE = 100, 10


def is_object(path: str) -> bool:
    """Whether the functions below know the storage of a path."""
    return FileSystems.get_scheme(path) in SCHEMES


def read_object(path: str, limit: int) -> bytes:
    """Reads an object.

    Raises:
        BadImage: It has more bytes than ``limit``.
        Exception: What the service's library raises. Nothing was tried again but by boto3.
    """
    bucket, name = _split(path)
    if FileSystems.get_scheme(path) == "gs":
        target = _Limited(limit)
        blob = _gcs(path).client.bucket(bucket).blob(name)
        blob.download_to_file(target, raw_download=True, retry=None)
        return target.getvalue()
    response = _s3(path).get_object(Bucket=bucket, Key=name)
    with response["Body"] as body:
        if response["ContentLength"] > limit:
            raise _too_large(limit)
        return body.read()


def read_object_range(path: str, offset: int, size: int) -> bytes:
    """Reads ``size`` bytes of an object, at least one, from ``offset`` on; fewer at its end.

    Raises:
        Exception: What the service's library raises. Nothing was tried again but by boto3.
    """
    bucket, name = _split(path)
    last = offset + size - 1
    if FileSystems.get_scheme(path) == "gs":
        blob = _gcs(path).client.bucket(bucket).blob(name)
        return blob.download_as_bytes(start=offset, end=last, raw_download=True, retry=None)
    response = _s3(path).get_object(Bucket=bucket, Key=name, Range=f"bytes={offset}-{last}")
    with response["Body"] as body:
        return body.read()


def write_object(path: str, data: bytes) -> None:
    """Writes an object whole: it appears when all bytes have come, or not at all.

    Raises:
        Exception: What the service's library raises. Nothing was tried again but by boto3.
    """
    bucket, name = _split(path)
    if FileSystems.get_scheme(path) == "gs":
        blob = _gcs(path).client.bucket(bucket).blob(name)
        blob.upload_from_string(data, content_type=_TYPE, retry=None)
    else:
        _s3(path).put_object(Bucket=bucket, Key=name, Body=data, ContentType=_TYPE)


def upload_object(path: str, file: BinaryIO) -> None:
    """Writes an object whole from a file, which is read from where it stands to its end.

    Raises:
        Exception: What the service's library raises.
    """
    bucket, name = _split(path)
    if FileSystems.get_scheme(path) == "gs":
        blob = _gcs(path).client.bucket(bucket).blob(name)
        blob.upload_from_file(file, content_type=_TYPE, retry=None)
    else:
        # boto3 closes what it was given.
        with open(os.dup(file.fileno()), "rb") as copy:
            _s3(path).upload_fileobj(copy, bucket, name, ExtraArgs={"ContentType": _TYPE})


def delete_objects(paths: list[str]) -> None:
    """Deletes objects of one service by their names, some at a time.

    Raises:
        BeamIOError: Some are left. One that is not there is no error.
    """
    if not paths:
        return
    if FileSystems.get_scheme(paths[0]) == "s3":
        FileSystems.delete(paths)
        return
    # Beam's own deletes one prefix without saying what is left, or lists each name first.
    batches = [paths[start : start + _BATCH] for start in range(0, len(paths), _BATCH)]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        results = pool.map(_gcs(paths[0]).delete_batch, batches)
        left = {path: status for result in results for path, status in result if status}
    if left:
        raise BeamIOError("Delete operation failed", left)


class _Limited(io.BytesIO):
    def __init__(self, limit: int):
        super().__init__()
        self.limit = limit

    def write(self, data) -> int:
        if self.tell() + len(data) > self.limit:
            raise _too_large(self.limit)
        return super().write(data)


def _too_large(limit: int) -> BadImage:
    return BadImage("too_large", f"a file of over {limit >> 20} MiB cannot be an image")


def _split(path: str) -> tuple[str, str]:
    bucket, _, name = path.partition("://")[2].partition("/")
    return bucket, name


def _gcs(path: str):
    return _gcs_of(FileSystems.get_filesystem(path)._pipeline_options)


def _s3(path: str):
    return _s3_of(FileSystems.get_filesystem(path)._options)


@functools.lru_cache(maxsize=4)
def _gcs_of(options):
    # Imported here because who stays on disks needs neither.
    from apache_beam.io.gcp.gcsio import GcsIO

    return GcsIO(pipeline_options=options)


@functools.lru_cache(maxsize=4)
def _s3_of(options):
    from apache_beam.io.aws.s3io import S3IO

    return S3IO(options=options).client.client
