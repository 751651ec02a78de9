"""Jobs of a cluster whose job service ends with the command: what is said and left of them."""

import json
import os
import signal
import time

import pytest

from tests.end_to_end import cluster_runner
from tests.end_to_end.command import run, run_here, said, start
from tests.end_to_end.many_photos import FLAGS, write_photos

MINE = (*cluster_runner.FLAGS, *FLAGS, "--output=out")


@pytest.mark.slow
def test_a_job_that_is_waited_for_leaves_no_mark(tmp_path):
    write_photos(tmp_path, 5, (120, 90))
    status, out, err = run_here(*MINE, cwd=tmp_path)
    assert status == 0, err
    assert "job job-" in err and "was submitted: on the machines of its runner" in err
    assert out.startswith("5 images, 0 failures")
    assert not (tmp_path / "out" / "journal" / "running.json").exists()
    assert not (tmp_path / "out" / "temporary").exists()


@pytest.mark.slow
def test_an_interrupt_says_that_the_job_may_go_on_and_nobody_joins_it(tmp_path):
    write_photos(tmp_path, 300, (1200, 900))
    process = start(*MINE, cwd=tmp_path)
    while not list(tmp_path.glob("out/journal/running/*")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    (line,) = said(err)
    job = json.loads((tmp_path / "out/journal/running.json").read_text())["job"]["id"]
    assert line.startswith(f"run_pipeline.py: interrupted; job {job} may go on without this")
    assert "cancel it where its runner shows it" in line and "--resume" in line
    status, _, err = run_here(*MINE, "--resume", cwd=tmp_path)
    (line,) = said(err)
    assert status == 2 and f"may be written to by job {job}, whose state is not known" in line
    (tmp_path / "out/journal/running.json").unlink()
    status, out, err = run_here(*MINE, "--resume", cwd=tmp_path)
    assert status == 0 and "of an earlier run), 0 failures" in out, err


def test_a_job_that_was_submitted_and_cannot_be_marked_is_said_to_go_on(tmp_path):
    write_photos(tmp_path, 5, (120, 90))
    lost = {cluster_runner.LOST_JOURNAL: str(tmp_path / "out" / "journal")}
    status, out, err = run(*MINE, cwd=tmp_path, **lost)
    assert (status, out) == (1, ""), err
    (line,) = said(err)
    assert "the job broke" not in line
    assert (
        f" was submitted, but journal/running.json in {tmp_path}/out could not be written, so"
        in line
    )
    assert "may go on without this command" in line
