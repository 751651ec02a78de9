"""Files by pattern: a file, a folder or a glob, on any Beam filesystem."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.pvalue import TaggedOutput

from pipeline.records import BadImage, Failure
from pipeline.storage.mask_names import IMAGE_SUFFIXES

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
    if re.match(r"[^/]*[*?[]", pattern):  # Beam finds nothing by a glob without any folder.
        pattern = f"./{pattern}"
    literal = pattern.replace("[", "[[]")
    # A folder is looked at first: on object stores it exists only as the start of names.
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


def place(path: str) -> str:
    """The same for a file however its folder is spelt, or linked to."""
    if FileSystems.get_scheme(path) is not None:
        return path
    folder, name = os.path.split(path)
    return os.path.join(_real_folder(folder), name)


@functools.lru_cache(maxsize=1024)
def _real_folder(folder: str) -> str:
    return os.path.realpath(folder)


class FindFiles(beam.PTransform):
    """Patterns to (path, folder); failures under the tag ``"failures"``.

    Each ``place`` comes once. A file whose name is no text cannot travel between workers: it is a
    failure.

    Args:
        patterns: What ``find_files`` takes.
        input_format: Likewise.
    """

    def __init__(self, patterns: tuple[str, ...], input_format: str):
        super().__init__()
        self.patterns = patterns
        self.input_format = input_format

    def expand(self, begin):
        """Lists each pattern."""
        found = (
            begin
            | beam.Create(self.patterns)
            | beam.ParDo(_Find(), self.input_format).with_outputs("failures", main="files")
        )
        once = (
            found.files
            | "Place" >> beam.Map(lambda file: (place(file[0]), file))
            | beam.CombinePerKey(min)
            | beam.Values()
        )
        return {"files": once, "failures": found.failures}


class _Find(beam.DoFn):
    def process(self, pattern: str, input_format: str):
        for path, folder in find_files(pattern, input_format):
            try:
                path.encode()
            except UnicodeEncodeError:
                key = path.encode(errors="backslashreplace").decode()
                error = BadImage("bad_name", "the name of the file is not UTF-8")
                yield TaggedOutput("failures", Failure.of(key, "read", error))
            else:
                yield path, folder


def _match(pattern: str) -> list[str]:
    return [found.path for found in FileSystems.match([pattern])[0].metadata_list]


def _named_like(path: str, input_format: str) -> bool:
    shard, image = bool(_SHARD.search(path)), path.lower().endswith(IMAGE_SUFFIXES)
    return {"auto": shard or image, "tfrecord": shard, "images": image}[input_format]
