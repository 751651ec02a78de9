"""TensorFlow's notices, which no setting of its own keeps from the terminal any more.

The C++ code logs before it has read any setting: of optimisations that are on, and of a GPU that is
not there.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import threading
from collections.abc import Iterator

# Lines of the levels information and warning, what says that they are coming, and the error that
# there is no driver of a GPU.
_NOTICE = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog"
    rb"|[IW]\d{4} \d\d:\d\d:[\d.]+ +\d+ \w+\.cc:\d+\] "
    rb"|To enable the following instructions: "
    rb"|E.*cuda_platform\.cc:\d+\] failed call to cuInit: .*\(303\)$"
)
# Two threads that took standard error in turns would not give it back.
_one_at_a_time = threading.Lock()


@contextlib.contextmanager
def without_notices() -> Iterator[None]:
    """Inside, what this process writes to standard error is held back; then, but for notices, told.

    To be put around the first import of TensorFlow and the first use of it.
    """
    with _one_at_a_time, tempfile.TemporaryFile() as held:
        terminal = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
            held.seek(0)
            for line in held:
                if not _NOTICE.match(line):
                    os.write(2, line)
