"""What functions count while they work, for Beam's metrics.

Beam's metrics work in Beam's own threads only, and most of the work is done in others. So a
function adds to a tally, and the stage whose thread it runs in hands the tally to Beam.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections import Counter
from collections.abc import Iterator, Mapping

from apache_beam.metrics import Metrics

_here = threading.local()


def add(name: str, number: int) -> None:
    """Adds to the tally that this thread keeps; without one, nothing is counted.

    Args:
        name: Of the counter ``images/<name>``.
        number: What is added.
    """
    tally = getattr(_here, "tally", None)
    if tally is not None:
        tally[name] += number


@contextlib.contextmanager
def tallied() -> Iterator[Counter]:
    """Keeps a tally in this thread; what is added meanwhile is in it."""
    before, _here.tally = getattr(_here, "tally", None), Counter()
    try:
        yield _here.tally
    finally:
        _here.tally = before


def hand_over(tally: Mapping[str, int]) -> None:
    """Adds a tally to Beam's counters. To be called in a thread of Beam's."""
    for name, number in tally.items():
        if number:
            _counter(name).inc(number)


@functools.cache
def _counter(name: str):
    return Metrics.counter("images", name)
