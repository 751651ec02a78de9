"""The job and the bare loop: one small run, and the figures that follow from times."""

import pytest

from benchmarks.job_and_bare_loop import Case, run_all, summarize
from benchmarks.machine import CORES
from benchmarks.timed_commands import Usage


@pytest.mark.slow
def test_both_jobs_and_the_loop_are_run():
    case = Case("basnet_mini", "basnet_mini", 0.05, few=1, many=9, precision="float32")
    found = run_all(case, rounds=1)
    (few,), (many,), (loop,) = found["few"], found["many"], found["loop"]
    assert few.text.startswith("1 images, 0 failures")
    assert many.text.startswith("9 images, 0 failures")
    assert 0 < loop < many.wall


def usage(wall, processor, printed=0.0):
    return Usage(wall, processor, 500.0, f"4 images, 0 failures, {printed} s, 1 images/s\n")


def test_figures_follow_from_the_times():
    case = Case("basnet_mini", "basnet_mini", 1.0, few=100, many=600, precision="float32")
    found = {"few": [usage(20, 20)], "many": [usage(70, 120, 65.5)], "loop": [40.0]}
    row, goals = summarize(case, found)
    assert row["seconds, as printed"] == 65.5
    assert row["photos/s"] == pytest.approx(600 / 70)
    assert row["photos/s, start-up apart"] == pytest.approx(500 / 50)
    assert row["bare loop, photos/s"] == pytest.approx(600 / 40)
    assert row["seconds to the bare loop's"] == pytest.approx(70 / 40)
    assert row["start-up apart, to the bare loop's"] == pytest.approx((50 / 500) / (40 / 600))
    idle = 70 / (120 / CORES)
    assert [goal.measured for goal in goals] == pytest.approx([idle, 70 / 40, 1.5])


def test_only_the_usual_size_of_photos_has_goals():
    found = {"few": [usage(20, 20)], "many": [usage(70, 120)], "loop": [40.0]}
    case = Case("basnet_mini", "basnet_mini", 12.0, few=100, many=600, precision="float32")
    assert summarize(case, found)[1] == []
