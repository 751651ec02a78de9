"""Files on any Beam filesystem: read with a limit, written whole or not at all."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

from apache_beam.io.filesystems import FileSystems

from pipeline.failures import BadImage, InputLost, OutputLost
from pipeline.output_layout import TEMPORARY
from pipeline.storage.errors import persistently
from pipeline.storage.objects import (
    delete_objects,
    is_object,
    read_object,
    read_object_range,
    upload_object,
    write_object,
)
from pipeline.tally import add

# A larger file is no photo; a PNG of 100 megapixels may come near.
MAX_FILE_BYTES = 256 << 20
_PIECE = 1 << 20
# Files that are listed before they are deleted, so that few names are held: a page of S3.
_PAGE = 1000


def read_file(path: str) -> bytes:
    """Reads a whole file. After a transient error, it is tried again.

    Raises:
        BadImage: It is larger than any image that is decoded.
        InputLost: No other file could be read there, either.
        OSError: It cannot be read.
        Exception: Likewise, as the library of a service says it.
    """
    data = persistently(functools.partial(_read_once, path), InputLost, path)
    add("bytes_read", len(data))
    return data


@contextlib.contextmanager
def local_copy(path: str) -> Iterator[BinaryIO]:
    """Opens a file that is read from its beginning more than once; of a bucket, a copy of it.

    Raises:
        InputLost: No other file could be read there, either.
        OSError: It cannot be read.
        Exception: Likewise, as the library of a service says it.
    """
    if FileSystems.get_scheme(path) is None:
        with open(path, "rb") as file:
            yield file
        return
    with tempfile.TemporaryFile() as copy:
        persistently(functools.partial(_fetch_once, path, copy), InputLost, path)
        copy.seek(0)
        yield copy


def write_file(output: str, name: str, data: bytes) -> None:
    """Writes a file so that nobody sees a part of it under its name.

    Args:
        output: The output folder.
        name: Path of the file below it; an existing one is replaced.
        data: All that it is to hold.

    Raises:
        OutputLost: Nothing can be written there.
        OSError: This file could not be written, though it was tried a few times.
        Exception: Likewise, as the library of a service says it.
    """
    persistently(functools.partial(_write_once, output, name, data), OutputLost, output)
    add("bytes_written", len(data))


def write_large_file(output: str, name: str, parts: Iterable[bytes]) -> None:
    """Writes a file as ``write_file`` does, but of parts that are made one after the other."""
    with gathered_file(output, name) as gathered:
        for part in parts:
            gathered.write(part)


@contextlib.contextmanager
def gathered_file(output: str, name: str) -> Iterator[BinaryIO]:
    """A file to write to, of which ``write_file`` makes one in the output folder at the end.

    It is on this machine's disk, so that an error while it is written leaves nothing under the
    name, and the rest can be tried again.
    """
    with tempfile.TemporaryFile() as gathered:
        yield gathered
        add("bytes_written", gathered.tell())
        persistently(functools.partial(_copy_once, output, name, gathered), OutputLost, output)


def read_range(output: str, name: str, offset: int, size: int) -> bytes:
    """Reads a part of a file that the job has written.

    Args:
        output: The output folder.
        name: Path of the file below it.
        offset: Where the part begins, in bytes.
        size: Its bytes.

    Raises:
        OutputLost: The file cannot be read, or ends earlier.
    """
    path = FileSystems.join(output, name)
    read = functools.partial(_read_range_once, path, offset, size)
    data = persistently(read, OutputLost, path)
    if len(data) != size:
        raise OutputLost(f"{path} ends after {len(data)} of {size} bytes at {offset}")
    add("bytes_read", size)
    return data


def delete(paths: list[str]) -> None:
    """Deletes files, which must exist. Their names are taken literally, not as patterns."""
    if paths and is_object(paths[0]):
        delete_objects(paths)
    else:
        # Local files are deleted by pattern; other storage deletes by name.
        FileSystems.delete(
            [literal(path) if FileSystems.get_scheme(path) is None else path for path in paths]
        )


def literal(path: str) -> str:
    """A pattern that matches a path and nothing else."""
    return re.sub(r"([*?[])", r"[\1]", absolute(path))


def absolute(path: str) -> str:
    """An absolute local path: Beam cannot match a relative one with a [ in its first folder."""
    return os.path.abspath(path) if FileSystems.get_scheme(path) is None else path


def clear(output: str, names: Sequence[str]) -> None:
    """Removes the named files and folders below an output folder, where they exist.

    Raises:
        OutputLost: Nothing can be changed there.
        OSError: Something could not be removed.
    """
    for name in names:
        persistently(functools.partial(_clear_once, output, name), OutputLost, output)


def _clear_once(output: str, name: str) -> None:
    path = absolute(FileSystems.join(output, name))
    if os.path.isdir(path):
        shutil.rmtree(path)
        return
    if FileSystems.exists(path):
        delete([path])
    # Object stores have no folders, only files with a common prefix.
    before, found = None, _page(path)
    while found:
        if found == before:
            raise OSError(f"{found[0]} is still there after it was deleted")
        delete(found)
        before, found = found, _page(path)


def _page(path: str) -> list[str]:
    """Some of the files below a folder."""
    if FileSystems.get_filesystem(path).has_dirs():
        return []
    found = FileSystems.match([f"{literal(path)}/**"], [_PAGE])[0].metadata_list
    return [file.path for file in found]


def _read_once(path: str) -> bytes:
    if is_object(path):
        return read_object(path, MAX_FILE_BYTES)
    with FileSystems.open(path, compression_type="uncompressed") as file:
        # Piece by piece: one read would reserve as much memory as the file claims to hold.
        pieces, size = [], 0
        while piece := file.read(_PIECE):
            pieces.append(piece)
            size += len(piece)
            if size > MAX_FILE_BYTES:
                limit = MAX_FILE_BYTES >> 20
                raise BadImage("too_large", f"a file of over {limit} MiB cannot be an image")
        return b"".join(pieces)


def _fetch_once(path: str, copy: BinaryIO) -> None:
    copy.seek(0)
    copy.truncate()
    with FileSystems.open(path, compression_type="uncompressed") as file:
        shutil.copyfileobj(file, copy, _PIECE)


def _read_range_once(path: str, offset: int, size: int) -> bytes:
    if size == 0:
        return b""
    if is_object(path):
        return read_object_range(path, offset, size)
    with FileSystems.open(path, compression_type="uncompressed") as file:
        file.seek(offset)
        return file.read(size)


def _write_once(output: str, name: str, data: bytes) -> None:
    path = FileSystems.join(output, name)
    if is_object(path):
        write_object(path, data)
    elif FileSystems.get_filesystem(path).has_dirs():
        _write_and_rename(path, FileSystems.join(output, TEMPORARY, uuid.uuid4().hex), data)
    else:
        # An object appears when its upload ends.
        _create(path, data)


def _copy_once(output: str, name: str, gathered: BinaryIO) -> None:
    path = FileSystems.join(output, name)
    gathered.seek(0)
    if is_object(path):
        upload_object(path, gathered)
    elif FileSystems.get_filesystem(path).has_dirs():
        _write_and_rename(path, FileSystems.join(output, TEMPORARY, uuid.uuid4().hex), gathered)
    else:
        _create(path, gathered)


def _write_and_rename(path: str, temporary: str, data: bytes | BinaryIO) -> None:
    try:
        _create(temporary, data)
        _make_folder(path)
        _rename(temporary, path)
    except Exception:
        with contextlib.suppress(Exception):  # There may be nothing to delete.
            delete([temporary])
        raise


def _rename(temporary: str, path: str) -> None:
    if FileSystems.get_scheme(path) is None or not FileSystems.exists(path):
        FileSystems.rename([temporary], [path])
        return
    # HDFS renames onto nothing that is there, so the old file is moved away, and back if need be.
    old = f"{temporary}-old"
    FileSystems.rename([path], [old])
    try:
        FileSystems.rename([temporary], [path])
    except Exception:
        FileSystems.rename([old], [path])
        raise
    delete([old])


def _create(path: str, data: bytes | BinaryIO) -> None:
    with FileSystems.create(
        path, "application/octet-stream", compression_type="uncompressed"
    ) as file:
        if isinstance(data, bytes):
            file.write(data)
        else:
            shutil.copyfileobj(data, file, _PIECE)


def _make_folder(path: str) -> None:
    """Makes the folder that a rename needs; object stores need none."""
    folder = path.rpartition("/")[0]
    if FileSystems.get_scheme(path) is None:
        os.makedirs(folder, exist_ok=True)
    elif FileSystems.get_filesystem(path).has_dirs() and not FileSystems.exists(folder):
        with contextlib.suppress(OSError):  # Another worker was faster.
            FileSystems.mkdirs(folder)
