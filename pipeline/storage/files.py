"""Files on any Beam filesystem: read with a limit, written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import time
import uuid
from collections.abc import Sequence

from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems

from pipeline.failures import BadImage, OutputLost
from pipeline.output_layout import TEMPORARY

# Errors of the whole folder, not of one file: the next file would not fare better.
_FATAL = {
    errno.ENOSPC: "no space is left",
    errno.EDQUOT: "the quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission is denied",
    errno.EPERM: "permission is denied",
    errno.EIO: "the device fails",
    errno.ESTALE: "the mount is gone",
    errno.ENODEV: "the mount is gone",
    errno.ENOTCONN: "the mount is gone",
}
# A larger file is no photo; a PNG of 100 megapixels may come near.
MAX_FILE_BYTES = 256 << 20
_PIECE = 1 << 20
# Seconds before a write that failed is tried again.
PAUSES = (0.1, 0.5, 2.0)


def lost_output(error: BaseException | None) -> OutputLost | None:
    """The ``OutputLost`` behind an error, also one that another process sent as text; or None."""
    lost = None
    while error is not None:
        lost = error if isinstance(error, OutputLost) else lost
        # Beam sends an error of another process as the text of its traceback.
        text = re.search(rf"^[\w.]*\b{OutputLost.__name__}: (.+)", str(error), re.MULTILINE)
        lost = lost or (OutputLost(text[1]) if text else None)
        error = error.__cause__ or error.__context__
    return lost


def read_file(path: str) -> bytes:
    """Reads a whole file.

    Raises:
        BadImage: It is larger than any image that is decoded.
        OSError: It cannot be read.
    """
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


def write_file(output: str, name: str, data: bytes) -> None:
    """Writes a file so that nobody sees a part of it under its name.

    Args:
        output: The output folder.
        name: Path of the file below it; an existing one is replaced.
        data: All that it is to hold. On S3, empty data writes no file, as Beam cannot
            (apache/beam#21369).

    Raises:
        OutputLost: Nothing can be written there.
        OSError: This file could not be written, though it was tried a few times.
    """
    if not data and FileSystems.get_scheme(output) == "s3":
        return
    for pause in (*PAUSES, None):
        try:
            _write_once(output, name, data)
            return
        except Exception as error:
            reason = _FATAL.get(_errno(error))
            if reason is not None:
                raise OutputLost(f"cannot write to {output}: {reason}") from error
            if pause is None or _is_final(error):
                raise
            time.sleep(pause)


def delete(paths: list[str]) -> None:
    """Deletes files, which must exist. Their names are taken literally, not as patterns."""
    # These two filesystems delete by pattern; others, such as S3, delete by name.
    matching = (None, "gs")
    FileSystems.delete(
        [literal(path) if FileSystems.get_scheme(path) in matching else path for path in paths]
    )


def literal(path: str) -> str:
    """A pattern that matches a path and nothing else."""
    return re.sub(r"([*?[])", r"[\1]", absolute(path))


def absolute(path: str) -> str:
    """An absolute local path: Beam cannot match a relative one with a [ in its first folder."""
    return os.path.abspath(path) if FileSystems.get_scheme(path) is None else path


def clear(output: str, names: Sequence[str]) -> None:
    """Removes the named files and folders below an output folder, where they exist."""
    for name in names:
        path = absolute(FileSystems.join(output, name))
        if os.path.isdir(path):
            shutil.rmtree(path)
            continue
        # Object stores have no folders, only files with a common prefix.
        for found in FileSystems.match([literal(path), f"{literal(path)}/**"]):
            delete([file.path for file in found.metadata_list])


def _write_once(output: str, name: str, data: bytes) -> None:
    path = FileSystems.join(output, name)
    temporary = FileSystems.join(output, TEMPORARY, uuid.uuid4().hex)
    try:
        with FileSystems.create(
            temporary, "application/octet-stream", compression_type="uncompressed"
        ) as file:
            file.write(data)
        _make_folder(path)
        FileSystems.rename([temporary], [path])
    except Exception:
        with contextlib.suppress(Exception):  # There may be nothing to delete.
            delete([temporary])
        raise


def _make_folder(path: str) -> None:
    """Makes the folder that a rename needs; object stores need none."""
    folder = path.rpartition("/")[0]
    if FileSystems.get_scheme(path) is None:
        os.makedirs(folder, exist_ok=True)
    elif FileSystems.get_filesystem(path).has_dirs() and not FileSystems.exists(folder):
        with contextlib.suppress(OSError):  # Another worker was faster.
            FileSystems.mkdirs(folder)


def _errno(error: BaseException | None) -> int | None:
    """The ``errno`` of the system error behind an error of Beam, or None."""
    while error is not None:
        if isinstance(error, OSError) and error.errno is not None:
            return error.errno
        if isinstance(error, BeamIOError) and error.exception_details:
            error = next(iter(error.exception_details.values()))
        elif error.args and isinstance(error.args[0], BaseException):
            error = error.args[0]
        else:
            error = error.__cause__ or error.__context__
    return None


def _is_final(error: BaseException) -> bool:
    """Whether the name is at fault, so that a retry would fail, too."""
    return _errno(error) in (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST)
