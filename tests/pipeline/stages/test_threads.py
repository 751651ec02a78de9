"""Work in threads: as a plain loop, in order, bounded, and with an end to what hangs."""

import threading
import time

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to

from pipeline.records import TAGS, Done, Failure
from pipeline.stages import threads as ahead
from pipeline.stages.threads import InThreads, Task, TimedOut, room_for


def repeat(number, *_):
    """A number as often as it says, later the smaller it is."""
    time.sleep(0.02 / (number + 1))
    return [number] * number


@pytest.mark.parametrize("at_once", [1, 3, 50])
def test_results_come_in_the_order_of_the_elements(at_once):
    stage = InThreads(repeat, at_once, 2, TAGS, "repeat")
    stage.start_bundle()
    found = [result for number in range(20) for result in stage.process(number)]
    found += [result.value for result in stage.finish_bundle()]
    assert found == [number for number in range(20) for _ in range(number)]


def test_no_more_elements_are_worked_on_than_allowed_and_more_than_one_is():
    lock, running, most = threading.Lock(), 0, 0

    def work(_):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        with lock:
            running -= 1
        return [1]

    stage = InThreads(work, 8, 3, TAGS, "work")
    stage.start_bundle()
    assert sum(sum(stage.process(number)) for number in range(20)) == 12
    assert len(list(stage.finish_bundle())) == 8
    assert 2 <= most <= 3


def test_a_thread_makes_no_more_than_a_few_results_ahead():
    made = []

    def many(_):
        for number in range(100):
            made.append(number)
            yield number

    task = Task(many, None, threading.Semaphore(1))
    results = task.results()
    assert next(results) == 0
    time.sleep(0.1)
    assert len(made) <= 5
    assert [0, *results] == list(range(100))


def sort_out(number, taken):
    if number % 3 == 0:
        yield Failure(str(number), "read", "odd", "")
    elif number % 3 == 1:
        yield Done(str(number))
    else:
        yield number + taken


def test_results_go_where_their_type_says_and_are_counted():
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        stage = InThreads(sort_out, 2, 2, TAGS, "sort", "sorted")
        taken = beam.pvalue.AsSingleton(pipeline | "Taken" >> beam.Create([100]))
        sorted_out = (
            pipeline
            | beam.Create(range(9))
            | beam.ParDo(stage, taken).with_outputs("failures", "done", main="main")
        )
        assert_that(sorted_out.main, equal_to([102, 105, 108]), label="main")
        failed = sorted_out.failures | "Failed" >> beam.Map(lambda one: one.key)
        assert_that(failed, equal_to(["0", "3", "6"]), label="failed")
        done = sorted_out.done | "Done" >> beam.Map(lambda one: one.mask)
        assert_that(done, equal_to(["1", "4", "7"]), label="done")
    metrics = pipeline.result.metrics().query()
    assert [one.committed for one in metrics["counters"]] == [3]
    (seconds,) = metrics["distributions"]
    assert seconds.key.metric.name == "sort_microseconds" and seconds.committed.count == 9


def test_what_a_function_raises_comes_out_at_its_element():
    def work(number):
        if number == 1:
            raise ArithmeticError("one")
        return [number]

    stage = InThreads(work, 1, 1, TAGS, "work")
    stage.start_bundle()
    assert list(stage.process(0)) == []
    assert list(stage.process(1)) == [0]
    with pytest.raises(ArithmeticError, match="one"):
        list(stage.process(2))


def test_what_hangs_is_given_up_and_the_rest_goes_on():
    hanging = threading.Event()

    def read(number):
        yield number
        if number == 1:
            hanging.wait(30)
        yield number

    def lost(number, count, error):
        assert isinstance(error, TimedOut)
        yield Failure.of(f"{number} after {count}", "read", error)

    stage = InThreads(read, 2, 2, TAGS, "read", timeout=0.2, on_timeout=lost)
    stage.start_bundle()
    before, start = threading.active_count(), time.monotonic()
    found = [result for number in range(4) for result in stage.process(number)]
    found += [result.value for result in stage.finish_bundle()]
    assert time.monotonic() - start < 5
    failure = found.pop(3).value
    assert (failure.key, failure.reason) == ("1 after 1", "timed_out")
    assert failure.message == "nothing came for 0.2 seconds"
    assert found == [0, 0, 1, 2, 2, 3, 3]
    hanging.set()
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before


@pytest.mark.parametrize("which", [range(6), range(2, 8), range(0, 9, 2)])
def test_more_that_hangs_than_there_are_turns_costs_the_rest_nothing(monkeypatch, which):
    monkeypatch.setattr(ahead, "PATIENCE", 0.02)
    hanging = threading.Event()

    def read(number):
        yield number
        if number in which:
            hanging.wait(30)
        yield number

    stage = InThreads(read, 3, 2, TAGS, "read", timeout=0.3, on_timeout=lambda *_: ["late"])
    stage.start_bundle()
    start = time.monotonic()
    found = [result for number in range(9) for result in stage.process(number)]
    found += [result.value for result in stage.finish_bundle()]
    # Those that hang at the same time are waited for at the same time.
    assert time.monotonic() - start < 0.3 * len(which)
    hanging.set()
    assert found == [
        one for number in range(9) for one in (number, "late" if number in which else number)
    ]


def test_what_comes_after_it_was_given_up_is_left():
    hanging = threading.Event()

    def read(_):
        hanging.wait(30)
        yield "too late"

    turns = threading.Semaphore(1)
    task = Task(read, None, turns)
    time.sleep(0.02)
    task.give_up_after(10)
    assert not turns.acquire(blocking=False)
    task.give_up_after(0.01)
    assert turns.acquire(blocking=False)
    hanging.set()
    time.sleep(0.1)
    with pytest.raises(TimedOut, match="nothing came for 0.01 seconds"):
        next(task.results(lambda: None))
    assert not turns.acquire(blocking=False)


def test_large_images_wait_for_each_other_and_small_ones_do_not(monkeypatch):
    monkeypatch.setattr(ahead, "LARGE_PIXELS", 100)
    inside, most = [0, 0], [0, 0]

    def hold(pixels):
        large = int(pixels > 100)
        with room_for(pixels):
            inside[large] += 1
            most[large] = max(most[large], inside[large])
            time.sleep(0.05)
            inside[large] -= 1

    threads = [threading.Thread(target=hold, args=(size,)) for size in (100, 101) * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] > 1 and most[1] == 1
