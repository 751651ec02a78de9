"""Arithmetic from costs to jobs, against figures worked out by hand."""

import pytest

from benchmarks.scaling_model import (
    JOURNAL_BYTES,
    JOURNAL_ROWS,
    JOURNAL_SECONDS,
    METRICS_ROWS,
    Costs,
    Shape,
    costs_of,
    image_seconds,
    job_seconds,
    storage,
)
from pipeline.stages.journal import ROWS, SECONDS
from pipeline.stages.rows import LINES
from pipeline.storage.journal_files import COMPACT_BYTES

COSTS = Costs(
    {
        "decode": {1: 0.01, 3: 0.02},
        "mask": {1: 0.001, 3: 0.003},
        "png": {1: 0.005, 3: 0.015},
        "description": {1: 0.002, 3: 0.006},
        "truth": {1: 0.05, 3: 0.15},
        "photo bytes": {1: 250_000, 3: 750_000},
        "mask bytes": {1: 90_000, 3: 200_000},
        "network": {256: 0.03, 512: 0.12},
        "rest of a file": {0: 0.002},
        "rest of a truth": {0: 0.001},
        "rest of a record": {0: 0.001},
        "start": {0: 12.0},
        "further process": {0: 8.0},
        "row bytes": {0: 500},
        "row bytes with truth": {0: 6000},
    }
)


def test_a_table_is_read_as_it_was_written():
    assert costs_of(COSTS.rows()) == COSTS


@pytest.mark.parametrize(("at", "cost"), [(1, 0.01), (2, 0.015), (5, 0.03), (0.01, 0.00505)])
def test_between_and_beyond_what_was_measured_costs_lie_on_a_line(at, cost):
    assert COSTS.at("decode", at) == pytest.approx(cost)


def test_no_cost_is_negative():
    assert Costs({"decode": {1: 0.001, 2: 0.01}}).at("decode", 0.1) == 0


def test_the_network_s_cost_is_by_the_area_of_its_square():
    assert COSTS.at("network", 256 * 2**0.5) == pytest.approx(0.06)


def test_a_cost_that_was_measured_once_says_nothing_of_other_sizes():
    with pytest.raises(ValueError, match="measured at one size only"):
        Costs({"network": {224: 0.03}}).at("network", 288)


def test_an_image_takes_the_sum_of_its_stages():
    assert sum(image_seconds(COSTS, Shape(1)).values()) == pytest.approx(0.05)
    whole = Shape(1, truth=True, flip=True, shards=True)
    assert sum(image_seconds(COSTS, whole).values()) == pytest.approx(0.13)


def test_a_job_starts_once_for_each_process():
    assert job_seconds(COSTS, Shape(100)) == pytest.approx(12 + 5)
    assert job_seconds(COSTS, Shape(100, processes=3)) == pytest.approx(12 + 16 + 5)


def test_requests_files_and_bytes_of_files():
    asked = storage(COSTS, Shape(128_000, truth=True), records=1000, retried=0, rate=99)
    # 46 files of 16 MiB and 3 of 50,000 rows; 3 others; names of 256,000 and twice of 2,000.
    assert asked.files == 128_000 + 46 + 3 + 3
    assert asked.writes == asked.files + 2_000 + 256 + 4
    assert asked.reads == 256_000 + 2 * 2_000
    assert asked.read_bytes == 128_000 * 250_000
    assert asked.written_bytes == 128_000 * 96_000


def test_shards_are_listed_and_read_one_by_one():
    asked = storage(COSTS, Shape(128_000, shards=True), records=1000, retried=0.5, rate=99)
    assert asked.files == 128_000 + 4 + 3 + 3
    assert asked.writes == 195_023  # 1.5 times 128,010 + 2,000 + 1 + 4, rounded up
    assert asked.reads == 1.5 * (128 + 2 * 2_000)


def test_slow_processes_write_more_files_and_leave_as_many():
    slow, fast = (
        storage(COSTS, Shape(128_000), records=1000, retried=0, rate=rate) for rate in (3.2, 99)
    )
    assert slow.files == fast.files
    assert slow.writes - fast.writes == 6_000 + 2 * 6
    assert slow.reads - fast.reads == 2 * 6_000


def test_files_of_the_journal_hold_as_many_rows_as_is_counted():
    assert (JOURNAL_ROWS, JOURNAL_SECONDS) == (ROWS, SECONDS)
    assert (JOURNAL_BYTES, METRICS_ROWS) == (COMPACT_BYTES, LINES)
