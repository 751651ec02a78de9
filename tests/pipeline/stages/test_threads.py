"""Work in the process's threads: in order, within a window, and as many as there are cores."""

import math
import os
import threading
import time

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to

from pipeline.failures import Attempt, Failure
from pipeline.stages.outcomes import split_attempts
from pipeline.stages.threads import InThreads, thread_count, usable_cores
from tests.pipeline.bundles import begun, finished, given


def late(number):
    """The number, later the smaller it is."""
    time.sleep(0.02 / (number + 1))
    return Attempt(number)


@pytest.mark.parametrize("window", [0, 1, 3, 50])
def test_results_come_in_the_order_of_the_elements(window):
    stage = begun(InThreads(late, window, "late", "done"))
    assert given(stage, *range(20)) + finished(stage) == list(range(20))


@pytest.mark.parametrize("window", [0, 1, 3])
def test_no_more_than_the_window_waits_for_its_results(window):
    stage = begun(InThreads(late, window, "late", "done"))
    for count in range(1, 10):
        assert len(given(stage, count)) == (1 if count > window else 0)
    assert len(finished(stage)) == window


def test_a_window_is_begun_before_the_first_result_is_needed():
    gate, begun_on = threading.Event(), []

    def work(number):
        begun_on.append(number)
        assert gate.wait(10)
        return Attempt(number)

    stage = begun(InThreads(work, 2, "work", "done"))
    assert given(stage, 0, 1) == []
    deadline = time.monotonic() + 5
    while not begun_on and time.monotonic() < deadline:
        time.sleep(0.005)
    assert begun_on[0] == 0
    gate.set()
    assert given(stage, 2) + finished(stage) == [0, 1, 2]


def test_a_bundle_begins_without_what_another_left():
    stage = begun(InThreads(late, 5, "late", "done"))
    given(stage, 1, 2)
    stage.start_bundle()
    assert given(stage, 3) + finished(stage) == [3]


def test_what_a_function_raises_comes_out_at_its_element():
    def work(number):
        if number == 1:
            raise ArithmeticError("one")
        return Attempt(number)

    stage = begun(InThreads(work, 1, "work", "done"))
    assert given(stage, 0, 1) == [0]
    with pytest.raises(ArithmeticError, match="one"):
        given(stage, 2)


# The pool


def test_all_stages_share_one_pool_that_does_not_grow_with_the_elements():
    def name_of_thread(number):
        time.sleep(0.001)
        return Attempt(threading.current_thread().name)

    names = set()
    for _ in range(2):
        for stage in [begun(InThreads(name_of_thread, 20, "name", "done")) for _ in range(2)]:
            names.update(given(stage, *range(100)) + finished(stage))
    assert 1 <= len(names) <= thread_count(1, usable_cores())
    assert all(name.startswith("images") for name in names)


@pytest.mark.parametrize(
    ("processes", "cores", "threads"),
    [(1, 1, 1), (1, 8, 8), (2, 8, 4), (3, 8, 3), (8, 8, 1), (100, 8, 1), (0, 8, 1)],
)
def test_processes_share_the_cores_of_a_machine(processes, cores, threads):
    assert thread_count(processes, cores) == threads


def lay_quota(folder, version, quota, period):
    """Writes a quota as a container sees it, by the version of its control groups."""
    if version == 2:
        (folder / "cpu.max").write_text(f"{quota} {period}\n")
    else:
        (folder / "cpu").mkdir()
        (folder / "cpu" / "cpu.cfs_quota_us").write_text(f"{quota}\n")
        (folder / "cpu" / "cpu.cfs_period_us").write_text(f"{period}\n")


CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("quota", [0.05, 0.5, 1.0, 1.5, 2.5, 10_000])
def test_a_quota_of_the_container_bounds_the_cores(tmp_path, version, quota):
    lay_quota(tmp_path, version, int(quota * 100_000), 100_000)
    assert usable_cores(tmp_path) == min(CORES, math.ceil(quota))


@pytest.mark.parametrize(
    ("version", "quota"), [(2, "max"), (1, "-1"), (1, ""), (2, "nonsense"), (2, "0")]
)
def test_without_a_quota_all_cores_of_the_process_are_used(tmp_path, version, quota):
    lay_quota(tmp_path, version, quota, 100_000)
    assert usable_cores(tmp_path) == CORES


def test_without_control_groups_all_cores_of_the_process_are_used(tmp_path):
    assert usable_cores(tmp_path / "none") == CORES


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no threads")
def test_cores_that_a_process_is_kept_from_are_not_used(tmp_path):
    found = []

    def on_one_core():
        # Linux binds the thread that asks, not all of its process.
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        found.append(usable_cores(tmp_path))

    thread = threading.Thread(target=on_one_core)
    thread.start()
    thread.join()
    assert found == [1]
    assert usable_cores(tmp_path) == CORES


# In a pipeline


def sort_out(number, taken):
    if number % 3 == 0:
        return Attempt(failure=Failure(str(number), "read", "odd", ""))
    return Attempt(number + taken)


def test_results_and_failures_part_and_results_are_counted():
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        taken = beam.pvalue.AsSingleton(pipeline | "Taken" >> beam.Create([100]))
        stage = InThreads(sort_out, 2, "sort", "sorted")
        outcome = split_attempts(pipeline | beam.Create(range(9)), "Sort", stage, taken)
        results = [101, 102, 104, 105, 107, 108]
        assert_that(outcome.results, equal_to(results), label="results")
        failed = outcome.failures | "Failed" >> beam.Map(lambda one: one.key)
        assert_that(failed, equal_to(["0", "3", "6"]), label="failed")
    metrics = pipeline.result.metrics().query()
    assert [(one.key.metric.name, one.committed) for one in metrics["counters"]] == [("sorted", 6)]
    counts = {one.key.metric.name: one.committed.count for one in metrics["distributions"]}
    assert counts == {"sort_microseconds": 9, "sort_waited_microseconds": 9}
