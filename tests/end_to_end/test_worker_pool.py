"""Workers that have the package alone, as on a cluster: the whole job, and the death of one."""

import os
import shutil
import signal
import time

import pytest

from pipeline.command.options import UsageError, parse
from pipeline.command.running import check_not_running
from tests.end_to_end.command import ROOT, run, run_here, said, start
from tests.end_to_end.many_photos import FLAGS, write_photos
from tests.end_to_end.worker_pool import cluster, install_package, where_is, workers_of
from tests.pipeline.shard_files import files_below

pytestmark = pytest.mark.slow

# Workers that cannot import wait without a word.
LIMIT = 600
COUNT = 300


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The interpreter of an environment that holds the package and knows no checkout."""
    return install_package(tmp_path_factory.mktemp("package"))


def contents(output):
    """All that a job leaves but its journal and its report, which say when."""
    names = files_below(output)
    kept = [name for name in names if not name.startswith("journal/") and name != "report.html"]
    return {name: (output / name).read_bytes() for name in kept}


def test_the_staged_package_does_the_whole_job_as_this_process_does(python, tmp_path):
    for package in ("pipeline", "model"):
        assert python.parents[1] in where_is(package, python, tmp_path).parents
    shutil.copytree(ROOT / "pipeline" / "sample", tmp_path / "in")
    with cluster(python, tmp_path / "cluster", workers=2) as (flags, pool):
        status, out, err = run(
            *flags, "--input=in/*.tfrecord", "--output=out", cwd=tmp_path, timeout=LIMIT
        )
        assert status == 0, err
        assert out.startswith("11 images, 0 failures")
        # Two for the steps with hints, which see images, and two for the others.
        assert len(workers_of(pool)) == 4
    # The engine of workers that may be elsewhere.
    mine = ("--input=in/*.tfrecord", "--output=here", "--engine=keras")
    status, _, err = run_here(*mine, cwd=tmp_path)
    assert status == 0, err
    assert len(list((tmp_path / "out" / "masks").rglob("*.png"))) == 11
    assert contents(tmp_path / "out") == contents(tmp_path / "here")


def test_a_worker_that_is_killed_ends_the_job_and_a_resume_does_the_rest(python, tmp_path):
    # Beam's job service for one machine tries no bundle again; those of clusters do.
    write_photos(tmp_path, COUNT, (1000, 750))
    output = tmp_path / "out"
    with cluster(python, tmp_path / "cluster", workers=2) as (flags, pool):
        process = start(*flags, *FLAGS, "--output=out", cwd=tmp_path)
        end = time.monotonic() + LIMIT
        while not list(output.glob("journal/*/*.jsonl")):  # Rows of finished images.
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.02)
        with pytest.raises(
            UsageError, match=r"is being written to by job \S+ \(RUNNING, localhost:"
        ):
            check_not_running(str(output), parse([]))
        victim, *others = workers_of(pool)
        os.kill(victim, signal.SIGKILL)
        out, err = process.communicate(timeout=LIMIT)
        assert (process.returncode, out) == (1, ""), err
        (line,) = said(err)
        assert line.startswith("run_pipeline.py: the job broke: "), err
        assert line.endswith("the same command with --resume goes on from there")
        assert "goes on without" not in line
        assert not (output / "summary.json").exists()
        # Of the job that was given up, they may still have a bundle.
        for other in others:
            os.kill(other, signal.SIGKILL)
    assert 0 < len(list(output.glob("masks/*.png"))) < COUNT
    with cluster(python, tmp_path / "another", workers=2) as (flags, _):
        status, out, err = run(
            *flags, *FLAGS, "--output=out", "--resume", cwd=tmp_path, timeout=LIMIT
        )
    assert status == 0, err
    assert f"{COUNT} images (" in out and " of an earlier run), 0 failures" in out
    status, _, err = run_here(*FLAGS, "--engine=keras", "--output=here", cwd=tmp_path)
    assert status == 0, err
    assert contents(output) == contents(tmp_path / "here")
