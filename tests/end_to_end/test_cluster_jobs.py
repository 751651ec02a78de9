"""Jobs of a cluster whose job service ends with the command: what is said and left of them."""

import json
import os
import signal
import time

import numpy as np
import pytest
from PIL import Image

from tests.end_to_end.cluster_runner import FLAGS, LOST_JOURNAL
from tests.end_to_end.command import run, said, start, write_network

MINE = (*FLAGS, "--input=in", "--output=out", "--model=net.keras", "--image_size=64")
PHOTOS = 300


@pytest.fixture
def folder(tmp_path):
    """Photos for some seconds of work in any case, none of one colour."""
    (tmp_path / "in").mkdir()
    rough = Image.fromarray(np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8))
    rough.resize((2400, 1800)).save(tmp_path / "in" / "0.jpg")
    for number in range(1, PHOTOS):
        os.link(tmp_path / "in" / "0.jpg", tmp_path / "in" / f"{number}.jpg")
    write_network(tmp_path / "net.keras")
    return tmp_path


@pytest.mark.slow
def test_a_job_that_is_waited_for_leaves_no_mark(folder):
    status, out, err = run(*MINE, cwd=folder)
    assert status == 0, err
    assert "job job-" in err and "was submitted: on the machines of its runner" in err
    assert out.startswith(f"{PHOTOS} images, 0 failures")
    assert not (folder / "out" / "journal" / "running.json").exists()
    assert not (folder / "out" / "temporary").exists()


@pytest.mark.slow
def test_an_interrupt_says_that_the_job_may_go_on_and_nobody_joins_it(folder):
    process = start(*MINE, cwd=folder)
    while not list(folder.glob("out/journal/running/*")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    (line,) = said(err)
    job = json.loads((folder / "out/journal/running.json").read_text())["job"]["id"]
    assert line.startswith(f"run_pipeline.py: interrupted; job {job} may go on without this")
    assert "cancel it where its runner shows it" in line and "--resume" in line
    status, _, err = run(*MINE, "--resume", cwd=folder)
    (line,) = said(err)
    assert status == 2 and f"may be written to by job {job}, whose state is not known" in line
    (folder / "out/journal/running.json").unlink()
    status, out, err = run(*MINE, "--resume", cwd=folder)
    assert status == 0 and "of an earlier run), 0 failures" in out, err


def test_a_job_that_was_submitted_and_cannot_be_marked_is_said_to_go_on(folder):
    lost = {LOST_JOURNAL: str(folder / "out" / "journal")}
    status, out, err = run(*MINE, cwd=folder, **lost)
    assert (status, out) == (1, ""), err
    (line,) = said(err)
    assert "the job broke" not in line
    assert (
        f" was submitted, but journal/running.json in {folder}/out could not be written, so" in line
    )
    assert "may go on without this command" in line
