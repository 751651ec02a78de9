"""Work done in threads, so that decoding, the network and writing overlap.

Beam calls the stages of a bundle one after the other in one thread. A stage that starts on elements
before their results are needed uses the other cores meanwhile: Pillow and NumPy release Python's
lock where they work long.
"""

from __future__ import annotations

import functools
import math
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import apache_beam as beam
from apache_beam.metrics import Metrics

from pipeline.failures import Attempt
from pipeline.images.memory import keep_freed_memory
from pipeline.stages.outcomes import emit, in_window
from pipeline.tally import hand_over, tallied

CGROUP = Path("/sys/fs/cgroup")


class InThreads(beam.DoFn):
    """Calls a function on elements in the process's pool of threads.

    Results come in the order of the elements. The function must not wait for another element.

    Args:
        function: From an element, and any side inputs, to an ``Attempt``.
        window: Most elements that are begun before the result of the first is needed. A stage
            beside the network, which takes a batch at a time, needs more than a batch.
        name: Of the distributions ``images/<name>_microseconds``, the time of each element, and
            ``images/<name>_waited_microseconds``, how long Beam's thread waited for it.
        counter: Of the counter ``images/<counter>`` of results.
        processes: Worker processes that share the cores of this machine, as in ``Job``.
    """

    def __init__(
        self,
        function: Callable[..., Attempt],
        window: int,
        name: str,
        counter: str,
        processes: int = 1,
    ):
        self.function = function
        self.window = window
        self.processes = processes
        self.microseconds = Metrics.distribution("images", f"{name}_microseconds")
        self.waited = Metrics.distribution("images", f"{name}_waited_microseconds")
        self.counter = Metrics.counter("images", counter)

    def setup(self):
        """Finds the pool of this process."""
        keep_freed_memory()
        self.pool = shared_pool(thread_count(self.processes, usable_cores()))

    def start_bundle(self):
        """Begins with an empty window."""
        self.started: deque[Future] = deque()

    def process(self, element, *side_inputs) -> Iterator:
        """Starts on an element, and yields the oldest result once the window is full."""
        self.started.append(self.pool.submit(_timed, self.function, element, *side_inputs))
        if len(self.started) > self.window:
            yield self._oldest()

    def finish_bundle(self) -> Iterator:
        """Yields the results that are left."""
        while self.started:
            yield in_window(self._oldest())

    def _oldest(self):
        begun = time.monotonic()
        attempt, seconds, tally = self.started.popleft().result()
        # Here and not in the function: Beam's metrics work in Beam's own threads only.
        self.waited.update(int(1e6 * (time.monotonic() - begun)))
        self.microseconds.update(int(1e6 * seconds))
        hand_over(tally)
        if attempt.failure is None:
            self.counter.inc()
        return emit(attempt)


@functools.cache
def shared_pool(threads: int) -> ThreadPoolExecutor:
    """The pool of this process, shared by all stages and bundles."""
    return ThreadPoolExecutor(threads, thread_name_prefix="images")


def thread_count(processes: int, cores: int) -> int:
    """Threads for each of some worker processes that share cores; 0 processes: one a core."""
    return 1 if processes == 0 else math.ceil(cores / processes)


def usable_cores(cgroup: Path = CGROUP) -> int:
    """Cores that this process may use: by its affinity, and by the quota of its container.

    Args:
        cgroup: The folder of the control groups, version 1 or 2.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota = _quota(cgroup)
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def _quota(cgroup: Path) -> float | None:
    """Cores that the container may use at a time, or None if it may use all."""
    try:
        if (cgroup / "cpu.max").is_file():
            allowed, period = (cgroup / "cpu.max").read_text().split()
        else:
            allowed = (cgroup / "cpu/cpu.cfs_quota_us").read_text()
            period = (cgroup / "cpu/cpu.cfs_period_us").read_text()
        return int(allowed) / int(period) if int(allowed) > 0 else None
    except (OSError, ValueError, ZeroDivisionError):  # No such file, or "max".
        return None


def _timed(function: Callable[..., Attempt], *arguments) -> tuple[Attempt, float, Counter]:
    start = time.monotonic()
    with tallied() as tally:
        attempt = function(*arguments)
    return attempt, time.monotonic() - start, tally
