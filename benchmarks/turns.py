"""Contenders that take turns, and a timer for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TypeVar

Name = TypeVar("Name")
Result = TypeVar("Result")


def alternate(
    contenders: Mapping[Name, Callable[[], Result]], rounds: int
) -> dict[Name, list[Result]]:
    """Calls functions in turns, so that a slow spell of the machine slows all of them.

    Args:
        contenders: Functions by name.
        rounds: How often each is called. Every second round goes through them backwards.

    Returns:
        What each function returned, by name, in the order of the rounds.
    """
    results: dict[Name, list[Result]] = {name: [] for name in contenders}
    for number in range(rounds):
        order = list(contenders) if number % 2 == 0 else list(reversed(contenders))
        for name in order:
            results[name].append(contenders[name]())
    return results


def timed(function: Callable[[], object]) -> Callable[[], float]:
    """Returns a function that calls the given one and returns the seconds it took."""

    def run() -> float:
        start = time.perf_counter()
        function()
        return time.perf_counter() - start

    return run
