"""Says how far the command is: a bar on a terminal, a line each half minute elsewhere.

What is counted comes from ``pipeline/progress_counts.py``. Nothing here can break a job.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO

from pipeline.command.program import PROGRAM
from pipeline.progress_counts import FOLDER, read_counts

# Seconds between two looks at the counts, and between two lines where there is no terminal.
LOOK = 0.5
LINE = 30.0
# Seconds over which the speed is taken.
RECENT = 60.0


@dataclass(frozen=True)
class Standing:
    """How far a job is.

    Attributes:
        done: Images that have come to their end, failures included.
        expected: Images that there are in all; None if that is not known.
        text: The same in words, with failures and shards that are still to be read.
    """

    done: int
    expected: int | None
    text: str


def standing(counts: Mapping[str, int]) -> Standing:
    """What counts mean.

    Args:
        counts: What ``read_counts`` returns.
    """
    done = counts["done"] + counts["failed"] + counts["kept"]
    known, expected = max(counts["images"], done), None
    unread, about = counts["shards"] - counts["shards_read"], ""
    if unread <= 0:
        expected = known
    elif counts["shards_read"]:
        expected, about = known + unread * counts["records"] // counts["shards_read"], "about "
    text = f"{done} of {about}{expected} images" if expected is not None else f"{done} images"
    if unread > 0:
        text += f", {unread} of {counts['shards']} shards unread"
    if counts["earlier"]:
        text += f" ({counts['earlier']} more of an earlier run)"
    return Standing(done, expected, f"{text}, {counts['failed']} failures")


def activity(counts: Mapping[str, int], now: Standing) -> str:
    """What goes on, in a few words; empty while images are annotated."""
    if not (counts["images"] or counts["shards"]):
        return "listing the input"
    if now.done == now.expected:
        return "writing the results"
    if counts["loading"] > 0 and not now.done:
        return "loading the network"
    return ""


def in_hours(seconds: float) -> str:
    """Seconds as ``0:05`` or ``1:02:03``."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


class Speed:
    """Images a second over the last minute, from the first look on."""

    def __init__(self):
        self._seen: deque[tuple[float, int]] = deque()

    def at(self, moment: float, done: int) -> float | None:
        """The speed, or None as long as nothing is done.

        Args:
            moment: Now, in seconds.
            done: Images that are done by now.
        """
        self._seen.append((moment, done))
        while moment - self._seen[0][0] > RECENT and len(self._seen) > 2:
            self._seen.popleft()
        since, before = self._seen[0]
        return (done - before) / (moment - since) if done > before else None


class Progress:
    """Shows how far the command is, from when it is made until it is closed.

    Args:
        quiet: Whether nothing is shown.
        stream: Where to say it; standard error by default.
        every: Seconds between two lines where there is no terminal.
    """

    def __init__(self, quiet: bool = False, stream: TextIO | None = None, every: float = LINE):
        self._stream = stream or sys.stderr
        self._every = every
        self._doing, self._folder = "starting", ""
        self._speed, self._begun = Speed(), time.monotonic()
        self._said = self._begun
        self._bar = None
        self._closed = threading.Event()
        if quiet:
            self._closed.set()
            return
        with contextlib.suppress(Exception):
            if self._stream.isatty():
                # Imported here, as a job in a script needs no bar.
                from pipeline.command.progress_bar import Bar

                self._bar = Bar(self._stream)
        threading.Thread(target=self._run, daemon=True).start()

    def doing(self, what: str) -> None:
        """Says what the command does before there is a job."""
        self._doing = what

    def watch(self) -> None:
        """From now on, shows what processes of this machine count."""
        if not self._closed.is_set():
            with contextlib.suppress(OSError):
                self._folder = tempfile.mkdtemp(prefix="basnet-annotator-")
                os.environ[FOLDER] = self._folder

    def close(self) -> None:
        """Shows nothing any more, and leaves nothing of a bar on the terminal."""
        self._closed.set()
        if self._bar is not None:
            self._bar.close()
        if self._folder:
            os.environ.pop(FOLDER, None)
            shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self) -> None:
        # An error here ends what is shown, and nothing else.
        with contextlib.suppress(Exception):
            while True:
                self._look(time.monotonic())
                if self._closed.wait(LOOK):
                    return

    def _look(self, now: float) -> None:
        clock = in_hours(now - self._begun)
        if not self._folder:
            self._show(f"{self._doing}, {clock}", None, now)
            return
        counts = read_counts(self._folder)
        at = standing(counts)
        doing = activity(counts, at)
        if doing:
            self._speed = Speed()  # The clock starts when the network has been loaded.
            known = f": {at.text}" if counts["images"] or counts["shards"] else ""
            self._show(f"{doing}, {clock}{known}", at, now)
            return
        text = at.text
        # Images that turn out to be finished cost next to nothing, and are no measure of speed.
        speed = self._speed.at(now, at.done - counts["kept"])
        if speed:
            text += f", {speed:.1f} images/s"
            if at.expected is not None:
                text += f", {in_hours((at.expected - at.done) / speed)} left"
        self._show(text, at, now)

    def _show(self, text: str, at: Standing | None, now: float) -> None:
        if self._bar is not None:
            expected = at.expected if at is not None and at.done else None
            self._bar.show(text, at.done if at else 0, expected)
        elif now - self._said >= self._every:
            self._said = now
            print(f"{PROGRAM}: {text}", file=self._stream, flush=True)
