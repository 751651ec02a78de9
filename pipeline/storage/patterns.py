"""Files by pattern: a file, a folder or a glob, on any Beam filesystem."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator

from apache_beam.io.filesystems import FileSystems

from pipeline.image_formats import IMAGE_SUFFIXES

_SHARD = re.compile(r"\.tfrecords?(-\d+-of-\d+)?(\.gz)?$", re.IGNORECASE)


def find_files(pattern: str, input_format: str = "auto") -> Iterator[tuple[str, str]]:
    """Files of a pattern, in the order of their names.

    Args:
        pattern: A file, a folder (with all below it) or a glob, on any Beam filesystem.
        input_format: ``"auto"``, ``"tfrecord"`` or ``"images"``. A folder yields only what is
            named like that format; a file or glob yields whatever it matches.

    Yields:
        (path, folder), where folder is the part of the path that keys leave out.
    """
    if re.match(r"[^/]*[*?[]", pattern):  # Beam matches nothing by a glob without a folder.
        pattern = f"./{pattern}"
    literal = pattern.replace("[", "[[]")
    # Try the pattern as a folder first: on object stores a folder is only a prefix of names.
    below = "" if re.search(r"[*?]", pattern) else literal.rstrip("/") + "/**"
    paths = _match(below) if below else []
    if paths:
        folder = pattern.rstrip("/") + "/"
        paths = [path for path in paths if _named_like(path, input_format)]
    else:
        paths, fixed = _match(literal), re.split(r"[*?]", pattern)[0]
        if not paths:
            paths, fixed = _match(pattern), re.split(r"[*?[]", pattern)[0]
        if below:  # An empty folder matches its own name.
            paths = [path for path in paths if not os.path.isdir(path)]
        folder = fixed[: fixed.rfind("/") + 1]
    for path in sorted(paths):
        yield path, folder


def is_shard(path: str, input_format: str = "auto") -> bool:
    """Whether a file holds records instead of being an image."""
    return bool(_SHARD.search(path)) if input_format == "auto" else input_format == "tfrecord"


def real_path(path: str) -> str:
    """The real path of a file, so that two spellings of its folder compare equal."""
    if FileSystems.get_scheme(path) is not None:
        return path
    folder, name = os.path.split(path)
    if not os.path.isabs(folder):  # Remembered by its full path: it may be another one later.
        folder = os.path.join(os.getcwd(), folder)
    return os.path.join(_real_folder(folder), name)


@functools.lru_cache(maxsize=1024)
def _real_folder(folder: str) -> str:
    return os.path.realpath(folder)


def _match(pattern: str) -> list[str]:
    return [found.path for found in FileSystems.match([pattern])[0].metadata_list]


def _named_like(path: str, input_format: str) -> bool:
    shard, image = bool(_SHARD.search(path)), path.lower().endswith(IMAGE_SUFFIXES)
    return {"auto": shard or image, "tfrecord": shard, "images": image}[input_format]
