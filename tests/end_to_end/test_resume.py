"""A job that is killed, or whose storage fails, ends as if nothing had happened."""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.end_to_end.command import run, run_here, said, start, write_network

FLAKY = Path(__file__).with_name("flaky_storage.py")


def kill(process):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def files(output):
    """All that a job leaves but its journal, and its report, which says when; by name."""
    return {
        str(path.relative_to(output)): path.read_bytes()
        for path in sorted(Path(output).rglob("*"))
        if path.is_file()
        and "journal" not in path.relative_to(output).parts
        and path.name != "report.html"
    }


def workers(process):
    """The process ids of a run's workers, in the order of their start."""
    found = subprocess.run(
        ["pgrep", "-g", str(process.pid), "-f", "apache_beam.*sdk_worker_main"],
        capture_output=True,
        text=True,
    )
    # Without the shells that started them.
    return [
        int(pid)
        for pid in found.stdout.split()
        if not Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"/bin/sh")
    ]


def lines(path):
    """The finished images of a file of the journal."""
    found = map(json.loads, path.read_text().splitlines())
    return [line for line in found if line["content"]]


def journaled(output):
    """How many rows the journal holds; while files are put together, a row may be there twice."""
    rows = set()
    for path in Path(output).glob("journal/*/*.jsonl"):
        with contextlib.suppress(FileNotFoundError):
            rows |= {(line["mask"], line["written"]) for line in lines(path)}
    return len(rows)


def photos(folder, count):
    """Photos, half of them with a truth, and one that is none."""
    rng = np.random.default_rng(0)
    (folder / "in").mkdir()
    (folder / "truth").mkdir()
    for number in range(count):
        small = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
        photo = Image.fromarray(small).resize((150, 120), Image.Resampling.BICUBIC)
        photo.save(folder / "in" / f"{number}.jpg")
        if number % 2:
            photo.convert("L").point(lambda value: 255 * (value > 128)).save(
                folder / "truth" / f"{number}.png"
            )
    (folder / "in" / "text.jpg").write_text("not an image")
    write_network(folder / "net.keras")


FLAGS = ("--input=in", "--truth=truth", "--model=net.keras", "--image_size=64")


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """150 photos and what an uninterrupted run makes of them."""
    folder = tmp_path_factory.mktemp("few")
    photos(folder, 150)
    status, out, err = run_here(*FLAGS, "--output=whole", cwd=folder)
    assert status == 0 and out.startswith("151 images, 1 failures"), err
    return folder


@pytest.fixture
def finished(few):
    """What a whole run leaves, for a test to change."""
    yield shutil.copytree(few / "whole", few / "finished")
    shutil.rmtree(few / "finished")


def kill_after(process, output, rows):
    """Kills a run once its journal holds so many rows; whether it still ran."""
    while journaled(output) < rows and process.poll() is None:
        time.sleep(0.02)
    running = process.poll() is None
    kill(process)
    return running


def test_a_killed_run_that_is_resumed_leaves_what_a_whole_one_leaves(few):
    expected = files(few / "whole")
    output = few / "killed"
    assert kill_after(start(*FLAGS, "--output=killed", cwd=few), output, 1)
    rows = journaled(output)
    assert 0 < rows < 150 and "summary.json" not in files(output)

    # Without a word about what is there, nothing is done to it.
    status, _, err = run_here(*FLAGS, "--output=killed", cwd=few)
    assert status == 2 and "add --resume to go on" in err
    status, out, _ = run_here(*FLAGS, "--output=killed", "--resume", "--plan", cwd=few)
    assert status == 0 and f"goes on; {rows} images are finished" in out
    assert journaled(output) == rows

    status, out, err = run_here(*FLAGS, "--output=killed", "--resume", cwd=few)
    assert status == 0 and out.startswith(f"151 images ({rows} of an earlier run), 1 failures"), err
    assert files(output) == expected
    # What was finished was not done again.
    assert journaled(output) == 150


@pytest.mark.slow
def test_what_changed_is_done_again_and_the_rest_is_kept(few, finished):
    output = finished
    before, rows = files(output), journaled(output)
    journal = list((output / "journal").glob("*/*.jsonl"))
    photo = few / "in" / "7.jpg"
    old, added = photo.read_bytes(), few / "in" / "added.jpg"
    try:
        photo.write_bytes((few / "in" / "8.jpg").read_bytes())
        added.write_bytes(old)
        (output / "masks" / "9.png").unlink()
        status, _, err = run_here(*FLAGS, "--output=finished", "--resume", cwd=few)
    finally:
        photo.write_bytes(old)
        added.unlink()
    assert status == 0 and journaled(output) == rows + 3, err
    after = files(output)
    assert after["masks/added.png"] == before["masks/7.png"]
    (output / "masks" / "added.png").unlink()
    assert after["masks/7.png"] == after["masks/8.png"] != before["masks/7.png"]
    same = {name for name in before if name.startswith("masks/")} - {"masks/7.png"}
    assert all(after[name] == before[name] for name in same)

    # Killed between the mask of the change and its row, and changed back: the mask is the change's.
    (new,) = (path for path in (output / "journal").glob("*/*.jsonl") if path not in journal)
    withdrawn = [line for line in new.read_text().splitlines() if not json.loads(line)["content"]]
    assert len(withdrawn) == 1 and len(lines(new)) == 3
    new.write_text(withdrawn[0] + "\n")
    status, _, err = run_here(*FLAGS, "--output=finished", "--resume", cwd=few)
    assert status == 0 and files(output) == before, err


@pytest.mark.slow
def test_another_threshold_makes_all_stale_and_says_so(few, finished):
    again = (*FLAGS, "--output=finished", "--resume", "--threshold=0.5")
    status, out, _ = run_here(*again, "--plan", cwd=few)
    assert status == 0 and "150 finished images are stale" in out
    assert "threshold was None, is 0.5" in out
    status, out, err = run_here(*again, cwd=few)
    assert status == 0 and "threshold was None, is 0.5: what was finished is done again" in err
    assert out.startswith("151 images, 1 failures")
    assert Image.open(finished / "masks" / "1.png").mode == "1"
    assert journaled(finished) == 150


def test_a_folder_without_a_journal_is_not_resumed(few):
    (few / "mine").mkdir()
    (few / "mine" / "notes.txt").write_text("mine")
    status, _, err = run_here(*FLAGS, "--output=mine", "--resume", cwd=few)
    assert status == 2 and "holds no journal" in err and len(err.splitlines()) == 1
    assert files(few / "mine") == {"notes.txt": b"mine"}


@pytest.mark.slow
def test_scores_of_existing_masks_are_resumed_too(few):
    flags = ("--masks=whole/masks/*[13579].png", "--truth=truth", "--output=scores")
    status, out, err = run_here(*flags, cwd=few)
    assert status == 0 and out.startswith("75 images, 0 failures"), err
    expected = files(few / "scores")
    for path in (few / "scores" / "journal").glob("*/*.jsonl"):
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(lines[::2]))
    status, out, err = run_here(*flags, "--resume", cwd=few)
    assert status == 0 and out.startswith("75 images (38 of an earlier run), 0 failures"), err
    assert files(few / "scores") == expected


@pytest.mark.slow
def test_nothing_is_lost_or_doubled_by_eight_kills(tmp_path):
    photos(tmp_path, 1000)
    status, _, err = run_here(*FLAGS, "--output=whole", cwd=tmp_path)
    assert status == 0, err
    rng, rows = random.Random(0), 0
    # Before or while it begins, or some time after.
    for begins in (False, True, False, False, False, True, False, False):
        process = start(*FLAGS, "--output=killed", "--resume", cwd=tmp_path)
        if begins:
            time.sleep(rng.uniform(0, 5))
        else:
            kill_after(process, tmp_path / "killed", rows + rng.randint(1, 60))
        assert process.poll() in (None, -signal.SIGKILL)
        kill(process)
        assert journaled(tmp_path / "killed") >= rows
        rows = journaled(tmp_path / "killed")
        # What has its final name is whole.
        for mask in (tmp_path / "killed" / "masks").glob("*.png"):
            assert mask.read_bytes() == (tmp_path / "whole" / "masks" / mask.name).read_bytes()
    assert 200 < rows < 1000
    status, _, err = run_here(*FLAGS, "--output=killed", "--resume", cwd=tmp_path)
    assert status == 0, err
    assert files(tmp_path / "killed") == files(tmp_path / "whole")


@pytest.mark.slow
def test_a_worker_that_is_killed_ends_the_run_and_nothing_is_lost(few):
    output = few / "worker"
    flags = (*FLAGS, f"--output={output.name}", "--resume")
    several = ("--direct_num_workers=2", "--direct_running_mode=multi_processing")
    # A read that takes longer than the test: one worker waits for it, the other is soon done.
    os.mkfifo(few / "in" / "fifo.jpg")
    try:
        process = start(*flags, *several, "--read_timeout=600", cwd=few)
        try:
            while journaled(output) < 64 and process.poll() is None:
                time.sleep(0.02)
            running = workers(process)
            assert len(running) == 2
            os.kill(running[1], signal.SIGKILL)
            _, err = process.communicate(timeout=60)
        finally:
            kill(process)
    finally:
        (few / "in" / "fifo.jpg").unlink()
    assert process.returncode == 1, err
    # Perhaps not the last line: the other worker may say that its connection is gone.
    (line,) = said(err)
    assert "the job broke" in line and "--resume" in line
    assert 64 <= journaled(output) <= 150
    status, _, err = run_here(*flags, cwd=few)
    assert status == 0, err
    # As one process makes them.
    assert files(output) == files(few / "whole")


@pytest.mark.slow
def test_storage_that_fails_now_and_then_loses_and_doubles_nothing(few):
    output = few / "flaky"
    flags = (*FLAGS, f"--output=flaky://{output}", "--resume")
    broken = 0
    for seed in range(20):
        status, _, err = run(*flags, cwd=few, script=FLAKY, FLAKY_SEED=str(seed))
        if status == 0 and json.loads((output / "summary.json").read_text())["failed"] == 1:
            break
        broken += 1
    else:
        pytest.fail(err)
    assert broken, "storage that always works tests nothing"
    assert files(output) == files(few / "whole")
