"""Reads that hide their latency, and that are given up when they hang.

Nothing can end a thread whose read hangs. So each read has a daemon thread of its own, which does
not keep the process alive; a pool of ``concurrent.futures`` would wait for it when Python exits.
"""

from __future__ import annotations

import contextlib
import functools
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator

import apache_beam as beam
from apache_beam.metrics import Metrics

from pipeline.failures import Attempt, TimedOut
from pipeline.stages.outcomes import emit, in_window
from pipeline.tally import hand_over, tallied

# Seconds between two looks at what takes too long.
PATIENCE = 0.5

_END = object()


class TimedReads(beam.DoFn):
    """Calls a function that reads on elements, a few at once, in the order of the elements.

    Args:
        function: From an element, and any side inputs, to ``Attempt``s, made one after the other.
        ahead: Most elements that are begun before the results of the first are needed.
        at_once: Most elements that are read at the same time.
        name: Of the distributions ``images/<name>_microseconds``, the time of each element, and
            ``images/<name>_waited_microseconds``, how long Beam's thread waited for it.
        timeout: Seconds that each attempt may take.
        on_timeout: From an element, the number of attempts that it has brought, and the error, to
            the attempts that come instead of the rest.
        counter: Of the counter ``images/<counter>`` of results, or None.
        weight: From an element to how many it counts as in ``ahead``.
        patience: Seconds between two looks at what takes too long.
    """

    def __init__(
        self,
        function: Callable[..., Iterable[Attempt]],
        *,
        ahead: int,
        at_once: int,
        name: str,
        timeout: float,
        on_timeout: Callable[[object, int, TimedOut], Iterable[Attempt]],
        counter: str | None = None,
        weight: Callable[[object], int] = lambda _: 1,
        patience: float = PATIENCE,
    ):
        self.function = function
        self.ahead = ahead
        self.at_once = at_once
        self.timeout = timeout
        self.on_timeout = on_timeout
        self.weight = weight
        self.patience = patience
        self.microseconds = Metrics.distribution("images", f"{name}_microseconds")
        self.waited = Metrics.distribution("images", f"{name}_waited_microseconds")
        self.counter = Metrics.counter("images", counter) if counter else None
        self.reads: deque[Read] = deque()

    def start_bundle(self):
        """Begins without reads."""
        self.teardown()
        self.turns = threading.Semaphore(self.at_once)

    def teardown(self):
        """Ends the reads of a bundle that failed."""
        reads, self.reads = self.reads, deque()
        for read in reads:
            read.abandon()

    def process(self, element, *side_inputs) -> Iterator:
        """Starts to read an element, and yields what the oldest one brings."""
        function = functools.partial(_call, self.function, side_inputs)
        self.reads.append(Read(function, element, self.turns))
        while sum(self.weight(read.element) for read in self.reads) > self.ahead and (
            len(self.reads) > 1 or self.ahead == 0
        ):
            yield from self._oldest()

    def finish_bundle(self) -> Iterator:
        """Yields what the reads that are left bring."""
        while self.reads:
            for result in self._oldest():
                yield in_window(result)

    def _oldest(self) -> Iterator:
        # It stays among the reads until it has ended: the bundle may fail at any yield.
        reads, read, count = self.reads, self.reads[0], 0
        try:
            for attempt in read.attempts(self._give_up, self.patience):
                count += 1
                yield self._counted(attempt)
        except TimedOut as error:
            for attempt in self.on_timeout(read.element, count, error):
                yield self._counted(attempt)
        finally:
            reads.popleft().abandon()
        # Beam's metrics work in Beam's own threads only.
        self.microseconds.update(int(1e6 * read.seconds))
        self.waited.update(int(1e6 * read.waited))

    def _give_up(self) -> None:
        """Gives up every read that is late: the oldest may be waiting for another's turn."""
        for read in self.reads:
            read.give_up_after(self.timeout)

    def _counted(self, attempt: Attempt):
        if self.counter is not None and attempt.failure is None:
            self.counter.inc()
        return emit(attempt)


class Read:
    """The attempts that a function makes of one element, in a daemon thread of its own.

    Args:
        function: From the element to its attempts, made one after the other.
        element: What it is called with.
        turns: One is held while an attempt is made.
    """

    def __init__(
        self,
        function: Callable[[object], Iterable[Attempt]],
        element: object,
        turns: threading.Semaphore,
    ):
        self.element = element
        # Of the function, and of those who waited for it.
        self.seconds = self.waited = 0.0
        self._turns = turns
        self._lock = threading.Lock()
        # When the current attempt began, and why no more are waited for.
        self._begun: float | None = None
        self._given_up: TimedOut | None = None
        # Two: one to be taken and one that is ready. More would hold more images in memory.
        self._made: queue.Queue = queue.Queue(maxsize=2)
        threading.Thread(target=self._run, args=(function,), daemon=True).start()

    def attempts(self, waiting: Callable[[], None], patience: float = PATIENCE) -> Iterator:
        """The attempts in their order, as they are made.

        Args:
            waiting: Called now and then while none is there.
            patience: Seconds between two such calls.

        Raises:
            TimedOut: The read was given up.
            Exception: What the function raised.
        """
        while True:
            begun = time.monotonic()
            try:
                attempt, error, tally = self._made.get(timeout=patience)
            except queue.Empty:
                self.waited += time.monotonic() - begun
                if self._given_up is not None:
                    raise self._given_up from None
                waiting()
                continue
            self.waited += time.monotonic() - begun
            hand_over(tally)
            if error is not None:
                raise error
            if attempt is _END:
                return
            yield attempt

    def give_up_after(self, seconds: float) -> None:
        """Gives the read up if its current attempt takes longer. Its thread is left alone."""
        with self._lock:
            late = self._begun is not None and time.monotonic() - self._begun > seconds
            if not late or self._given_up is not None:
                return
            self._given_up = TimedOut(f"nothing came for {seconds:g} seconds")
        self._turns.release()  # Its thread may never do it.

    def abandon(self) -> None:
        """Ends the thread at its next attempt, as nobody waits for any more."""
        with self._lock:
            reads = self._begun is not None and self._given_up is None
            self._given_up = self._given_up or TimedOut("nobody waits for it")
        if reads:
            self._turns.release()
        # A thread that waits for room finds some, and lets go of what it has read.
        with contextlib.suppress(queue.Empty):
            while True:
                self._made.get_nowait()

    def _run(self, function: Callable[[object], Iterable[Attempt]]) -> None:
        attempts, attempt = None, None
        while attempt is not _END:
            # Released before the attempt is handed over: another read may have to come first.
            self._turns.acquire()
            with self._lock:
                if self._given_up is not None:
                    self._turns.release()
                    return
                self._begun, error = time.monotonic(), None
            with tallied() as tally:
                try:
                    attempts = iter(function(self.element)) if attempts is None else attempts
                    attempt = next(attempts, _END)
                except BaseException as raised:
                    attempt, error = _END, raised
            with self._lock:
                if self._given_up is not None:
                    return
                self.seconds += time.monotonic() - self._begun
                self._begun = None
            self._turns.release()
            self._made.put((attempt, error, tally))


def _call(function: Callable[..., Iterable[Attempt]], side_inputs: tuple, element: object):
    return function(element, *side_inputs)
