"""Hides TensorFlow's start-up notices.

Its C++ code prints them before it reads any setting: about optimisations that are on, and about a
missing GPU.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator

# Lines of information, the warning that precedes them, and the error about a missing GPU driver.
_NOTICE = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog"
    rb"|I\d{4} \d\d:\d\d:[\d.]+ +\d+ \w+\.cc:\d+\] "
    rb"|To enable the following instructions: "
    rb"|E.*cuda_platform\.cc:\d+\] failed call to cuInit: .*\(303\)$"
)
# Threads that redirected stderr at the same time would restore it in the wrong order.
_one_at_a_time = threading.Lock()


@contextlib.contextmanager
def without_notices() -> Iterator[None]:
    """Hides TensorFlow's notices. Put it around the first import and the first use of TensorFlow.

    Everything else that libraries write to stderr meanwhile is printed on exit; it is lost if the
    process aborts. What Python writes appears at once.
    """
    with _one_at_a_time, contextlib.ExitStack() as held_back:
        with contextlib.suppress(OSError):  # No temporary folder, or stderr is closed.
            held_back.enter_context(_held())
        yield


@contextlib.contextmanager
def _held() -> Iterator[None]:
    with tempfile.TemporaryFile() as held:
        terminal, python = os.dup(2), sys.stderr
        # Never closed, because libraries that are loaded meanwhile may keep it.
        sys.stderr = open(os.dup(2), "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr = python
            os.dup2(terminal, 2)
            os.close(terminal)
            held.seek(0)
            with contextlib.suppress(OSError):  # The reader of stderr is gone.
                for line in held:
                    if not _NOTICE.match(line):
                        os.write(2, line)
