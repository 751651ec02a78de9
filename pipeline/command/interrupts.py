"""Ctrl-C: one line and status 130, at any moment and on every local runner.

Python raises ``KeyboardInterrupt`` in the main thread only, which Beam's runners may keep waiting,
and every library on the way may print a traceback. So the signal is blocked in all threads, one
thread waits for it, and worker processes ignore it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from pipeline.command.program import PROGRAM

INTERRUPTED = 130


class LastWords:
    """What is said when the command is interrupted; it changes while the command goes on.

    Attributes:
        text: The end of the line.
        before: What is done before it is said, such as to take a bar off the terminal.
    """

    def __init__(self, text: str):
        self.text = text
        self.before: Callable[[], None] = lambda: None


def end_at_interrupt(text: str) -> LastWords:
    """From now on, Ctrl-C ends this process and its workers with one line and status 130.

    Nothing changes where Ctrl-C is ignored, as for a command in the background of a script.

    Args:
        text: What is said of the work so far.
    """
    words = LastWords(text)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN and hasattr(signal, "sigwait"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        if sys.platform == "linux":
            # Linux keeps a signal that is blocked for who waits for it, ignored or not. Worker
            # processes inherit that it is ignored; their shell would lift the block.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        threading.Thread(target=_wait, args=(words,), daemon=True).start()
    return words


def _wait(words: LastWords) -> None:
    signal.sigwait({signal.SIGINT})
    with contextlib.suppress(OSError, ValueError):  # Nobody reads standard error.
        words.before()
        print(f"{PROGRAM}: interrupted; {words.text}", file=sys.stderr, flush=True)
    with contextlib.suppress(OSError):
        # Threads that lose their worker would say so.
        silence = os.open(os.devnull, os.O_WRONLY)
        for stream in {2, sys.stderr.fileno()}:
            os.dup2(silence, stream)
    for process in _descendants(os.getpid()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    # Not sys.exit, which ends this thread alone.
    os._exit(INTERRUPTED)


def _descendants(ancestor: int) -> list[int]:
    """Processes that this one has started, and those that they have; none where /proc is not."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name, in brackets, may hold spaces.
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # It has just ended.
    found = [ancestor]
    for process in found:
        found += [child for child, parent in parents.items() if parent == process]
    return found[1:]
