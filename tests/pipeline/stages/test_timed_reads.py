"""Reads a few at a time: as a plain loop, in order, bounded, and with an end to what hangs."""

import gc
import threading
import time
import weakref

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to

from pipeline.failures import Attempt, Failure, TimedOut
from pipeline.stages.outcomes import split_attempts
from pipeline.stages.timed_reads import Read, TimedReads
from tests.pipeline.bundles import begun, finished, given


def reads(function, ahead=2, at_once=2, timeout=60.0, on_timeout=None, **options):
    on_timeout = on_timeout or (lambda *_: [Attempt("late")])
    return TimedReads(
        function,
        ahead=ahead,
        at_once=at_once,
        name="read",
        timeout=timeout,
        on_timeout=on_timeout,
        patience=0.02,
        **options,
    )


def through(stage, *elements):
    """Everything that a bundle of elements becomes."""
    begun(stage)
    return given(stage, *elements) + finished(stage)


def repeat(number):
    """A number as often as it says, later the smaller it is."""
    time.sleep(0.02 / (number + 1))
    return [Attempt(number)] * number


@pytest.mark.parametrize("ahead", [0, 1, 3, 50])
def test_results_come_in_the_order_of_the_elements(ahead):
    found = through(reads(repeat, ahead=ahead), *range(20))
    assert found == [number for number in range(20) for _ in range(number)]


def test_no_more_elements_are_read_at_once_than_allowed_and_more_than_one_is():
    lock, running, most = threading.Lock(), 0, 0

    def work(_):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        with lock:
            running -= 1
        return [Attempt(1)]

    stage = begun(reads(work, ahead=8, at_once=3))
    assert sum(given(stage, *range(20))) == 12
    assert len(finished(stage)) == 8
    assert 2 <= most <= 3


def test_fewer_elements_are_begun_at_once_the_heavier_they_are():
    stage = begun(reads(lambda _: [Attempt(1)], ahead=8, weight=lambda weight: weight))
    for weight, waiting in ((1, 8), (4, 2), (9, 1)):
        given(stage, *[weight] * 20)
        assert len(stage.reads) == waiting
    finished(stage)


def test_a_read_makes_no_more_than_a_few_results_ahead():
    made = []

    def many(_):
        for number in range(100):
            made.append(number)
            yield Attempt(number)

    attempts = Read(many, None, threading.Semaphore(1)).attempts(lambda: None)
    assert next(attempts).result == 0
    time.sleep(0.1)
    assert len(made) <= 5
    assert [0, *(one.result for one in attempts)] == list(range(100))


def test_what_a_function_raises_comes_out_at_its_element():
    def work(number):
        yield Attempt(number)
        if number == 1:
            raise ArithmeticError("one")

    stage = begun(reads(work, ahead=1))
    assert given(stage, 0, 1) == [0]
    with pytest.raises(ArithmeticError, match="one"):
        given(stage, 2)


def wait_until(condition):
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


@pytest.mark.parametrize("end", ["teardown", "start_bundle"])
def test_a_bundle_that_fails_in_the_middle_leaves_no_thread_and_nothing_that_was_read(end):
    class Photo:
        pass

    alive = weakref.WeakSet()

    def read(number):
        for _ in range(10):
            photo = Photo()
            alive.add(photo)
            yield Attempt(photo)
            del photo
        if number == 1:
            raise ArithmeticError("one")

    before = threading.active_count()
    stage = begun(reads(read, ahead=8, at_once=2))
    results = [one for number in range(8) for one in stage.process(number)]
    assert results == []
    # The next step fails at the third result of the oldest.
    results = stage.process(8)
    for _ in range(3):
        next(results)
    wait_until(lambda: len(alive) > 2 * 8)
    assert threading.active_count() == before + 9
    # A traceback keeps the generator alive, so nothing has closed it.
    getattr(stage, end)()
    wait_until(lambda: threading.active_count() <= before)
    del results, stage
    gc.collect()
    assert not alive


def test_reads_that_hang_hold_no_turns_of_others_once_their_bundle_is_over():
    hanging = threading.Event()
    before = threading.active_count()
    stage = begun(reads(lambda number: hanging.wait(30) and [], ahead=4, at_once=2))
    assert given(stage, 1, 2, 3, 4) == []
    stage.teardown()
    # Two hang, and nothing ends those before they come back.
    wait_until(lambda: threading.active_count() <= before + 2)
    hanging.set()
    wait_until(lambda: threading.active_count() <= before)


def test_what_hangs_is_given_up_and_the_rest_goes_on():
    hanging = threading.Event()

    def read(number):
        yield Attempt(number)
        if number == 1:
            hanging.wait(30)
        yield Attempt(number)

    def lost(number, count, error):
        assert isinstance(error, TimedOut)
        yield Attempt(failure=Failure.of(f"{number} after {count}", "read", error))

    before, start = threading.active_count(), time.monotonic()
    found = through(reads(read, timeout=0.2, on_timeout=lost), *range(4))
    assert time.monotonic() - start < 5
    tag, failure = found.pop(3)
    assert (tag, failure.key, failure.reason) == ("failures", "1 after 1", "timed_out")
    assert failure.message == "nothing came for 0.2 seconds"
    assert found == [0, 0, 1, 2, 2, 3, 3]
    hanging.set()
    wait_until(lambda: threading.active_count() <= before)


@pytest.mark.parametrize("which", [range(6), range(2, 8), range(0, 9, 2)])
def test_more_that_hangs_than_there_are_turns_costs_the_rest_nothing(which):
    hanging = threading.Event()

    def read(number):
        yield Attempt(number)
        if number in which:
            hanging.wait(30)
        yield Attempt(number)

    start = time.monotonic()
    found = through(reads(read, ahead=3, timeout=0.3), *range(9))
    # Those that hang at the same time are waited for at the same time.
    assert time.monotonic() - start < 0.3 * len(which)
    hanging.set()
    assert found == [
        one for number in range(9) for one in (number, "late" if number in which else number)
    ]


def test_what_comes_after_it_was_given_up_is_left():
    hanging = threading.Event()

    def work(_):
        hanging.wait(30)
        yield Attempt("too late")

    turns = threading.Semaphore(1)
    read = Read(work, None, turns)
    time.sleep(0.02)
    read.give_up_after(10)
    assert not turns.acquire(blocking=False)
    read.give_up_after(0.01)
    assert turns.acquire(blocking=False)
    hanging.set()
    time.sleep(0.1)
    with pytest.raises(TimedOut, match="nothing came for 0.01 seconds"):
        next(read.attempts(lambda: None, patience=0.02))
    assert not turns.acquire(blocking=False)


def test_a_read_that_hangs_does_not_keep_the_process_alive():
    before, hanging = set(threading.enumerate()), threading.Event()
    read = Read(lambda _: hanging.wait(30) and [], None, threading.Semaphore(1))
    (thread,) = set(threading.enumerate()) - before
    assert thread.daemon
    hanging.set()
    assert list(read.attempts(lambda: None)) == []


def sort_out(number, taken):
    if number % 3 == 0:
        yield Attempt(failure=Failure(str(number), "read", "odd", ""))
    else:
        yield Attempt(number + taken)


def test_results_and_failures_part_and_results_are_counted():
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        taken = beam.pvalue.AsSingleton(pipeline | "Taken" >> beam.Create([100]))
        stage = reads(sort_out, counter="sorted")
        outcome = split_attempts(pipeline | beam.Create(range(9)), "Sort", stage, taken)
        results = [101, 102, 104, 105, 107, 108]
        assert_that(outcome.results, equal_to(results), label="results")
        failed = outcome.failures | "Failed" >> beam.Map(lambda one: one.key)
        assert_that(failed, equal_to(["0", "3", "6"]), label="failed")
    metrics = pipeline.result.metrics().query()
    assert [(one.key.metric.name, one.committed) for one in metrics["counters"]] == [("sorted", 6)]
    counts = {one.key.metric.name: one.committed.count for one in metrics["distributions"]}
    assert counts == {"read_microseconds": 9, "read_waited_microseconds": 9}
