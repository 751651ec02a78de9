"""``journal/running.json``: who writes to an output folder, and claims of those who are about to.

``pipeline.command.running`` says what is in them.
"""

from __future__ import annotations

import contextlib
import functools
import json
import uuid

from apache_beam.io.filesystems import FileSystems

from pipeline.failures import OutputLost
from pipeline.output_layout import JOURNAL, TEMPORARY
from pipeline.storage.errors import persistently
from pipeline.storage.files import clear, delete, literal, read_file, write_file

MARK = f"{JOURNAL}/running.json"
_CLAIM = "starting-"


def mark_path(output: str) -> str:
    """Where the mark of an output folder is."""
    return FileSystems.join(output, *MARK.split("/"))


def write_mark(output: str, values: dict) -> None:
    """Writes the mark; an older one is replaced."""
    write_file(output, MARK, _text(values))


def drop_mark(output: str) -> None:
    """Removes the mark, if there is one."""
    clear(output, [MARK])


def drop_mark_of_template(output: str) -> None:
    """Removes the mark of a job that was made from a template, which only the job itself can do."""
    try:
        mark = read_mark(mark_path(output)) or {}
    except ValueError:
        return  # Nobody knows whose it is. The next command says that it is damaged.
    if "template" in mark:
        drop_mark(output)


def write_claim(output: str, values: dict) -> str:
    """Writes a claim beside those of others, and returns its path."""
    name = f"{_CLAIM}{uuid.uuid4().hex}.json"
    write_file(output, f"{TEMPORARY}/{name}", _text(values))
    return FileSystems.join(output, TEMPORARY, name)


def other_claims(output: str, own: str) -> list[str]:
    """Paths of the claims of others."""
    pattern = literal(FileSystems.join(output, TEMPORARY)) + f"/{_CLAIM}*"
    match = functools.partial(FileSystems.match, [pattern])
    found = [file.path for file in persistently(match, OutputLost, pattern)[0].metadata_list]
    return [path for path in found if _name_of(path) != _name_of(own)]


def drop_claim(path: str) -> None:
    """Removes a claim, if it is still there."""
    with contextlib.suppress(Exception):
        delete([path])


def read_mark(path: str) -> dict | None:
    """What a mark or a claim says, or None if it is not there.

    Raises:
        ValueError: It is damaged.
    """
    try:
        text = read_file(path) if _exists(path) else None
    except Exception:
        if _exists(path):
            raise
        text = None  # It was removed in between.
    if text is None:
        return None
    values = json.loads(text)
    if not isinstance(values, dict):
        raise ValueError(f"{path} holds no object")
    return values


def _exists(path: str) -> bool:
    return persistently(functools.partial(FileSystems.exists, path), OutputLost, path)


def _text(values: dict) -> bytes:
    return json.dumps(values).encode() + b"\n"


def _name_of(path: str) -> str:
    return path.rpartition("/")[2]
