"""A bar on the last line of a terminal, below whatever else is written to it."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from typing import TextIO

from tqdm import tqdm

# Seconds that a terminal that takes nothing (Ctrl-S) may hold up the end of the command.
PATIENCE = 1.0
BAR = "{percentage:3.0f}% |{bar:20}| {desc}"
# Where the text would be cut beside a bar: what is left of the job stands at its end.
NARROW = "{percentage:3.0f}% {desc}"
# Columns of a bar but for its text.
_AROUND = 28


class Bar:
    """A bar on a terminal. Until it is closed, ``sys.stderr`` writes above it.

    Args:
        stream: A terminal.
    """

    def __init__(self, stream: TextIO):
        self._lock = threading.RLock()
        self._closed = False
        # A file of its own: standard error is held back while TensorFlow is loaded.
        self._terminal = open(os.dup(stream.fileno()), "w", encoding=stream.encoding)  # noqa: SIM115
        self._tqdm = _Tqdm(
            total=0,
            file=self._terminal,
            dynamic_ncols=True,
            leave=False,
            position=0,  # Other bars of this process, if any, are no concern of this one.
            bar_format="{desc}",
        )
        self._above = _Above(self, sys.stderr)
        sys.stderr = self._above

    def show(self, text: str, done: int, expected: int | None) -> None:
        """Draws the bar anew.

        Args:
            text: What is said beside it.
            done: What is done.
            expected: Of how many; None for the text alone.
        """
        with self._lock:
            if self._closed or self._above.is_within_a_line:
                return
            bar = self._tqdm
            bar.n, bar.total = done, expected
            fits = len(text) + _AROUND <= self._columns()
            bar.bar_format = "{desc}" if expected is None else BAR if fits else NARROW
            # Cut by tqdm where the terminal is narrower.
            bar.set_description_str(text, refresh=False)
            bar.refresh()

    def _columns(self) -> int:
        try:
            # A terminal that does not say how wide it is has 0.
            return os.get_terminal_size(self._terminal.fileno()).columns or sys.maxsize
        except OSError:
            return sys.maxsize

    def clear(self) -> None:
        """Takes the bar off the terminal until it is drawn again."""
        with self._lock:
            if not self._closed:
                self._tqdm.clear()

    def close(self) -> None:
        """Takes the bar off the terminal for good."""
        if not self._lock.acquire(timeout=PATIENCE):
            return
        try:
            if not self._closed:
                self._closed = True
                with contextlib.suppress(OSError, ValueError):  # The terminal is gone.
                    self._tqdm.close()
                if sys.stderr is self._above:
                    sys.stderr = self._above.stream
        finally:
            self._lock.release()

    @property
    def lock(self) -> threading.RLock:
        """Held while the terminal is written to."""
        return self._lock


class _Tqdm(tqdm):
    # No thread that watches, and a lock of this process alone: tqdm's own is shared by processes.
    monitor_interval = 0


_Tqdm.set_lock(threading.RLock())


class _Above:
    """A stream to a terminal, which takes the bar away before it writes a line."""

    def __init__(self, bar: Bar, stream: TextIO):
        self.stream = stream
        self.is_within_a_line = False
        self._bar = bar

    def write(self, text: str) -> int:
        """Writes where the bar was; it is drawn again once the line has ended."""
        with self._bar.lock:
            if not self.is_within_a_line:
                self._bar.clear()
            written = self.stream.write(text)
            self.stream.flush()
            if text:
                self.is_within_a_line = not text.endswith("\n")
        return written

    def __getattr__(self, name: str):
        return getattr(self.stream, name)
