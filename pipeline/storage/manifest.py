"""Manifests: files that name the images of a job, so that nothing needs to be listed.

A manifest holds one path a line; or, by its suffix, ``.csv`` with a head line or ``.jsonl``, both
with a ``path`` and, where wanted, ``truth`` and ``name``. One whose name ends in ``.gz`` is
unpacked. Paths are on any Beam filesystem, or relative to the manifest's folder.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from collections.abc import Iterable, Iterator

from apache_beam.io.filesystems import FileSystems

from pipeline.failures import Attempt, BadImage, InputLost, attempt
from pipeline.records import ListedFile
from pipeline.storage.errors import in_words

COLUMNS = ("path", "truth", "name")
_ABSOLUTE = re.compile(r"([a-z][a-z0-9+.-]*://|/|[A-Za-z]:[\\/])")


def manifest_of(pattern: str) -> str | None:
    """The path of the manifest that a pattern names with ``@``, or None."""
    return pattern[1:] if pattern.startswith("@") else None


def check_manifest(path: str) -> ListedFile:
    """Reads the beginning of a manifest, and returns the first file that it names.

    Raises:
        BadImage: No file is named there.
        OSError: It cannot be read.
    """
    first = next(read_manifest(path), None)
    if first is None:
        raise BadImage("bad_manifest", "it names no file")
    if first.failure is not None:
        raise BadImage("bad_manifest", f"{first.failure.key}: {first.failure.message}")
    return first.result


def read_manifest(path: str) -> Iterator[Attempt[ListedFile]]:
    """The files that a manifest names, line by line. A line that cannot be used is a failure.

    Raises:
        BadImage: It is a CSV file without the column ``path``.
        InputLost: It can no longer be read.
        OSError: It cannot be opened.
    """
    folder = path[: path.rfind("/") + 1]
    with FileSystems.open(path, compression_type="uncompressed") as file:
        data = gzip.GzipFile(fileobj=file) if path.lower().endswith(".gz") else file
        text = io.TextIOWrapper(data, encoding="utf-8-sig", errors="surrogateescape", newline="")
        entries = _entries(path, text)
        while (entry := _next(path, entries)) is not None:
            yield attempt("read", f"{path}:{entry[0]}", _listed, entry[1], folder)


def _next(path: str, entries: Iterator[tuple[int, dict | str]]) -> tuple[int, dict | str] | None:
    """The next entry; None behind the last."""
    try:
        return next(entries, None)
    except BadImage:
        raise
    except csv.Error as error:
        raise InputLost(f"cannot read {path}: {error}") from error
    except Exception as error:
        raise InputLost(f"cannot read {path}: {in_words(error)}") from error


def _entries(path: str, lines: Iterable[str]) -> Iterator[tuple[int, dict | str]]:
    """The number of each line that is not empty, and what it says; text if that is no entry."""
    name = path.lower().removesuffix(".gz")
    if name.endswith(".csv"):
        rows = csv.DictReader(lines, strict=True)
        if "path" not in (rows.fieldnames or ()):
            raise BadImage("bad_manifest", "its first line names no column path")
        for row in rows:
            yield rows.line_num, row
        return
    for number, line in enumerate(lines, 1):
        if line := line.strip("\r\n"):
            yield number, line if name.endswith(".jsonl") else {"path": line}


def _listed(entry: dict | str, folder: str) -> ListedFile:
    if isinstance(entry, str):
        entry = _from_json(entry)
    path, truth, name = (_text(entry, column) for column in COLUMNS)
    if not path:
        raise BadImage("bad_manifest", "the line names no path")
    try:
        "".join((path, truth, name)).encode()
    except UnicodeEncodeError:
        raise BadImage("bad_name", "the line is not UTF-8") from None
    absolute = _ABSOLUTE.match(path)
    truth = truth if not truth or _ABSOLUTE.match(truth) else folder + truth
    if absolute:
        return ListedFile(path, absolute[0], name=name, truth=truth)
    return ListedFile(folder + path, folder, name=name, truth=truth)


def _from_json(line: str) -> dict:
    try:
        entry = json.loads(line)
    except ValueError as error:
        raise BadImage("bad_manifest", f"the line is no JSON: {error}") from error
    if not isinstance(entry, dict):
        raise BadImage("bad_manifest", "the line is no JSON object")
    return entry


def _text(entry: dict, column: str) -> str:
    value = entry.get(column)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadImage("bad_manifest", f"{column} is no text")
    return value
