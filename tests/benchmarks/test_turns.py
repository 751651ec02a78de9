"""Turns, and the seconds of a function."""

import time

from benchmarks.turns import alternate, timed


def test_contenders_take_turns_and_every_second_round_is_backwards():
    calls = []
    contenders = {name: lambda name=name: calls.append(name) or len(calls) for name in "abc"}
    results = alternate(contenders, 3)
    assert "".join(calls) == "abc" + "cba" + "abc"
    assert results == {"a": [1, 6, 7], "b": [2, 5, 8], "c": [3, 4, 9]}


def test_a_timed_function_is_called_once_a_call_and_gives_its_seconds():
    done = []
    run = timed(lambda: done.append(time.sleep(0.05)))
    assert 0.05 <= run() < 1
    assert len(done) == 1
