"""How far a job on this machine is: its processes count, and the command reads.

Each process keeps its counts in a small file, in a folder that the command has made and that an
environment variable names. Beam's local runners tell nothing of a job while it runs. Where workers
are elsewhere there is no folder and nothing is counted here; Beam's counters do it there.
"""

from __future__ import annotations

import contextlib
import functools
import os
import struct
import threading
import uuid
import weakref
from collections import Counter
from pathlib import Path
from typing import Any

FOLDER = "BASNET_ANNOTATOR_PROGRESS"

# Images that are known; shards whose records are not known before they are read, those of them that
# have been read, and their records; networks that are being loaded; images that are done, have
# failed, or turned out to be finished when they were read; images of an earlier run that are not
# read at all.
NAMES = (
    *("images", "shards", "shards_read", "records", "loading"),
    *("done", "failed", "kept", "earlier"),
)
_FORM = struct.Struct(f"{len(NAMES)}q")


def count(name: str, number: int = 1) -> None:
    """Adds to one of ``NAMES``. It never raises, and nothing happens where nobody reads it."""
    mine = _counts_in(os.environ.get(FOLDER, ""))
    if mine is not None:
        mine.add(name, number)


def passing(element: Any, name: str) -> Any:
    """The element itself, which is counted."""
    count(name)
    return element


def read_counts(folder: str) -> Counter:
    """The sums of what all processes have counted in a folder."""
    found = Counter(dict.fromkeys(NAMES, 0))
    with contextlib.suppress(OSError):
        for path in Path(folder).iterdir():
            with contextlib.suppress(OSError, struct.error):
                found.update(dict(zip(NAMES, _FORM.unpack(path.read_bytes()), strict=True)))
    return found


@functools.lru_cache(maxsize=1)
def _counts_in(folder: str) -> _Counts | None:
    if not folder:
        return None
    try:
        return _Counts(Path(folder) / uuid.uuid4().hex)
    except OSError:  # The folder is gone, or the disk is full.
        return None


class _Counts:
    """The counts of this process, and the file that says them."""

    def __init__(self, path: Path):
        self.file = open(path, "xb", buffering=0)  # noqa: SIM115
        weakref.finalize(self, self.file.close)
        self.numbers = Counter()
        self.lock = threading.Lock()

    def add(self, name: str, number: int) -> None:
        with self.lock, contextlib.suppress(OSError):
            self.numbers[name] += number
            self.file.seek(0)
            self.file.write(_FORM.pack(*(self.numbers[one] for one in NAMES)))
