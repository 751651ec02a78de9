"""TensorFlow's notices, which no setting of its own keeps from the terminal any more.

The C++ code logs before it has read any setting: of optimisations that are on, and of a GPU that is
not there.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator

# Information, what says that it is coming, and the error that there is no driver of a GPU.
_NOTICE = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog"
    rb"|I\d{4} \d\d:\d\d:[\d.]+ +\d+ \w+\.cc:\d+\] "
    rb"|To enable the following instructions: "
    rb"|E.*cuda_platform\.cc:\d+\] failed call to cuInit: .*\(303\)$"
)
# Two threads that took standard error in turns would not give it back.
_one_at_a_time = threading.Lock()


@contextlib.contextmanager
def without_notices() -> Iterator[None]:
    """Inside, what is written to standard error, not by Python, is held back; notices for ever.

    The rest is told at the end; it is lost if the process aborts meanwhile. To be put around the
    first import of TensorFlow and the first use of it.
    """
    with _one_at_a_time, contextlib.ExitStack() as held_back:
        with contextlib.suppress(OSError):  # No folder for temporary files, or no standard error.
            held_back.enter_context(_held())
        yield


@contextlib.contextmanager
def _held() -> Iterator[None]:
    with tempfile.TemporaryFile() as held:
        terminal, python = os.dup(2), sys.stderr
        # Never closed: libraries that are loaded meanwhile keep it.
        sys.stderr = open(os.dup(2), "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr = python
            os.dup2(terminal, 2)
            os.close(terminal)
            held.seek(0)
            with contextlib.suppress(OSError):  # Nobody listens any more.
                for line in held:
                    if not _NOTICE.match(line):
                        os.write(2, line)
