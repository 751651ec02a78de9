"""Work done ahead in threads, so that storage, decoding, network and encoding overlap.

Beam calls the stages of a bundle one after the other in one thread. A stage that runs its function
in threads of its own, a few elements ahead, hides what it waits for, and uses the other cores while
the network runs: Pillow and NumPy let go of Python's lock where they work long.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.window import GlobalWindows

CORES = os.cpu_count() or 1
# GNU's M_TRIM_THRESHOLD, M_MMAP_THRESHOLD and M_ARENA_MAX; at most 256 MiB are kept.
_MALLOC_OPTIONS = {-1: 256 << 20, -3: 32 << 20, -8: 2}
# Of images larger than this a process holds one at full size, not one in every thread.
LARGE_PIXELS = 16_000_000

# Seconds between two looks at what takes too long.
PATIENCE = 0.5

# Taken again by the thread that has it, as for the ground truth of a large image.
_large = threading.RLock()


@contextlib.contextmanager
def room_for(pixels: int) -> Iterator[None]:
    """Inside, an image of so many pixels may be held at full size; a large one waits for others."""
    with _large if pixels > LARGE_PIXELS else contextlib.nullcontext():
        yield


class TimedOut(Exception):
    """A thread has brought nothing for too long."""

    reason = "timed_out"


class Task:
    """The results of a function of one element, made in a thread of its own.

    The thread is a daemon: nothing can end a read that hangs, but it must not keep a process alive.

    Args:
        function: From the element to its results, made one after the other.
        element: What it is called with.
        turns: One is held while a result is made.
    """

    def __init__(
        self,
        function: Callable[[object], Iterable],
        element: object,
        turns: threading.Semaphore,
    ):
        self.element = element
        self.seconds = 0.0
        self._turns = turns
        self._lock = threading.Lock()
        # When the result was begun that is being made, and why no more are waited for.
        self._begun: float | None = None
        self._given_up: TimedOut | None = None
        # Two: one to be taken, one that is ready. More would hold more images in memory.
        self._results: queue.Queue = queue.Queue(maxsize=2)
        threading.Thread(target=self._run, args=(function,), daemon=True).start()

    def results(self, waiting: Callable[[], None] | None = None) -> Iterator:
        """The results in their order, as they are made.

        Args:
            waiting: Called now and then while none is there.

        Raises:
            TimedOut: The task was given up.
            Exception: What the function raised.
        """
        while True:
            try:
                result, error = self._results.get(timeout=waiting and PATIENCE)
            except queue.Empty:
                if self._given_up is not None:
                    raise self._given_up from None
                waiting()
                continue
            if error is not None:
                raise error
            if result is _END:
                return
            yield result

    def give_up_after(self, seconds: float) -> None:
        """Gives the task up if it has been making a result for longer; its thread is left alone."""
        with self._lock:
            late = self._begun is not None and time.monotonic() - self._begun > seconds
            if not late or self._given_up is not None:
                return
            self._given_up = TimedOut(f"nothing came for {seconds:g} seconds")
        self._turns.release()  # Its thread may never do it.

    def _run(self, function: Callable[[object], Iterable]) -> None:
        results, result = None, None
        while result is not _END:
            # Given back while a result waits to be taken: others may have to come first.
            self._turns.acquire()
            self._begun, error = time.monotonic(), None
            try:
                results = iter(function(self.element)) if results is None else results
                result = next(results, _END)
            except BaseException as raised:
                result, error = _END, raised
            with self._lock:
                if self._given_up is not None:
                    return
                self.seconds += time.monotonic() - self._begun
                self._begun = None
            self._turns.release()
            self._results.put((result, error))


_END = object()


class InThreads(beam.DoFn):
    """Calls a function on elements, a few at once, and yields the results in the elements' order.

    Args:
        function: From an element to its results. It may take side inputs as further arguments.
        ahead: Most elements that are begun before the results of the first are needed. A stage
            beside the network, which takes a batch at a time, needs more than a batch.
        at_once: Most elements that are worked on at the same time.
        tags: Types of results that go to a tagged output, to the tag's name.
        name: Of the time that an element took, a distribution ``images/<name>_microseconds``.
        counts: Of the counter ``images/<counts>`` of results without a tag, or None.
        timeout: Seconds that each result may take, None for ever.
        on_timeout: From an element and the number of its results to what comes instead of the rest.
    """

    def __init__(
        self,
        function: Callable[..., Iterable],
        ahead: int,
        at_once: int,
        tags: dict[type, str],
        name: str,
        counts: str | None = None,
        timeout: float | None = None,
        on_timeout: Callable[[object, int, TimedOut], Iterable] | None = None,
    ):
        self.function = function
        self.ahead = ahead
        self.at_once = at_once
        self.tags = tags
        self.timeout = timeout
        self.on_timeout = on_timeout
        self.microseconds = Metrics.distribution("images", f"{name}_microseconds")
        self.counter = Metrics.counter("images", counts) if counts else None

    def setup(self):
        """Prepares the process."""
        _keep_freed_memory()

    def start_bundle(self):
        """Begins without tasks."""
        self.tasks: deque[Task] = deque()
        self.turns = threading.Semaphore(self.at_once)

    def process(self, element, *side_inputs):
        """Starts on an element, and yields the results of the one that was started first."""
        function = functools.partial(_call, self.function, side_inputs)
        self.tasks.append(Task(function, element, self.turns))
        if len(self.tasks) > self.ahead:
            yield from self._oldest()

    def finish_bundle(self):
        """Yields the results of the elements that are left."""
        while self.tasks:
            for result in self._oldest():
                yield in_window(result)

    def _oldest(self) -> Iterator:
        task, count = self.tasks.popleft(), 0
        waiting = None if self.timeout is None else functools.partial(self._give_up, task)
        try:
            for result in task.results(waiting):
                count += 1
                yield self._tagged(result)
        except TimedOut as error:
            for result in self.on_timeout(task.element, count, error):
                yield self._tagged(result)
        # Beam counts in its own threads only.
        self.microseconds.update(int(1e6 * task.seconds))

    def _give_up(self, task: Task) -> None:
        """Gives up what takes too long, the others too, whose turns the task may be waiting for."""
        for one in (task, *self.tasks):
            one.give_up_after(self.timeout)

    def _tagged(self, result):
        tag = self.tags.get(type(result))
        if tag is not None:
            return TaggedOutput(tag, result)
        if self.counter is not None:
            self.counter.inc()
        return result


@functools.cache
def _keep_freed_memory() -> None:
    """Lets the C library keep what it has been given for the arrays of the next image.

    GNU's gives megabytes back at once and asks for them again, cleared, with every image: 4 of 27
    milliseconds that an image of 1 megapixel takes beside the network.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option, value in _MALLOC_OPTIONS.items():
            mallopt(option, value)


def _call(function: Callable[..., Iterable], side_inputs: tuple, element: object) -> Iterable:
    return function(element, *side_inputs)


def in_window(result):
    """What ``finish_bundle`` has to yield for a result or a tagged one."""
    if isinstance(result, TaggedOutput):
        return TaggedOutput(result.tag, GlobalWindows.windowed_value(result.value))
    return GlobalWindows.windowed_value(result)
