"""Memory of jobs, by their number of photos."""

import pytest

from benchmarks.memory import measure, summarize
from benchmarks.timed_commands import Usage


@pytest.mark.slow
def test_the_memory_of_a_job_is_measured():
    found = measure([2], 0.03, ["--image_size=32"], 1, "tar")
    ((count, (usage,)),) = found.items()
    assert count == 2
    # TensorFlow alone is larger than the first.
    assert 200 < usage.peak < 5000


def test_the_goal_compares_many_photos_with_few():
    found = {
        500: [Usage(10.0, 12.0, 800.0, "")],
        10000: [Usage(99.0, 120.0, 900.0, ""), Usage(101.0, 124.0, 860.0, "")],
    }
    rows, (goal,) = summarize(found)
    assert rows[1] == {
        "photos": 10000,
        "peak memory, MiB": 880.0,
        "seconds": 100.0,
        "processor seconds": 122.0,
        "photos/s": 100.0,
    }
    assert goal.measured == 1.1
    assert summarize({500: found[500]})[1] == []
