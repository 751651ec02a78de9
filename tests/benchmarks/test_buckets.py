"""Jobs on a disk and on buckets that answer late."""

import pytest

from benchmarks import buckets
from benchmarks.buckets import measure, summarize
from benchmarks.timed_commands import Usage
from tests.clouds import Google
from tests.end_to_end.command import small_network


@pytest.mark.slow
def test_a_job_and_its_resume_run_on_a_disk_and_on_a_bucket(monkeypatch):
    monkeypatch.setattr(buckets, "CLOUDS", {"gs://": Google})
    found = measure(small_network(), 2, delay=0.001, rounds=1)
    assert list(found) == ["disk", "gs://"]
    for ((job, resume),) in found.values():
        assert "2 images, 0 failures" in job.text
        assert "2 images (2 of an earlier run)" in resume.text


def test_the_goal_compares_buckets_with_the_disk():
    found = {
        "disk": [(Usage(40.0, 70.0, 900.0, ""), Usage(10.0, 11.0, 800.0, ""))],
        "s3://": [(Usage(50.0, 80.0, 910.0, ""), Usage(12.0, 13.0, 800.0, ""))],
    }
    rows, (goal,) = summarize(found, 20, 0.05)
    assert rows[1] == {
        "place": "s3://",
        "photos": 20,
        "seconds": 50.0,
        "photos/s": 0.4,
        "photos/s to the disk's": 0.8,
        "seconds of the resume": 12.0,
        "peak memory, MiB": 910.0,
    }
    assert goal.met and goal.what == "s3://, 50 ms a request: photos/s to the disk's"
