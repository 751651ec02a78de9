"""Storage that is full, read-only, gone or hangs: a clear end, and what was done is kept."""

import json
import os
import re
import shutil
import subprocess
import sys
import time

import pytest
from PIL import Image

from tests.end_to_end.command import SCRIPT, run, run_here, said, start, write_network

FLAGS = ["--input=in", "--model=net.keras", "--image_size=64"]
COMMAND = " ".join([sys.executable, str(SCRIPT), *FLAGS, "--quiet"])


@pytest.fixture
def folder(tmp_path):
    """200 photos, whose masks take a block of 4 KiB each."""
    (tmp_path / "in").mkdir()
    for number in range(200):
        Image.new("RGB", (80, 60), (number, 100, 50)).save(tmp_path / "in" / f"{number}.png")
    write_network(tmp_path / "net.keras")
    return tmp_path


def mounted(script, cwd):
    """Runs a shell script where it may mount what it likes, seen by nobody else."""
    isolated = ["unshare", "--mount", "--map-root-user"]
    if shutil.which("unshare") is None or subprocess.run([*isolated, "true"]).returncode:
        pytest.skip("this system has no mount namespaces")
    return subprocess.run(
        [*isolated, "bash", "-c", script], cwd=cwd, capture_output=True, text=True
    )


@pytest.mark.slow
def test_a_full_disk_is_said_what_is_done_is_kept_and_with_room_the_job_goes_on(folder):
    script = f"""
mkdir disk copy && mount -t tmpfs -o size=600k tmpfs disk || exit 77
{COMMAND} --output=disk/out; echo "status $?"
ls disk/out/masks > kept; cat disk/out/journal/*/*.jsonl > rows; find disk -size 0 -type f > empty
mount -o remount,size=9m disk
{COMMAND} --output=disk/out --resume; echo "status $?"
cp -r disk/out/. copy
"""
    done = mounted(script, folder)
    if done.returncode == 77:
        pytest.skip("this system mounts no tmpfs here")
    assert "status 1\n" in done.stdout and "status 0\n" in done.stdout, done.stderr
    (line,) = said(done.stderr)
    assert "the job broke: cannot write to disk/out: no space is left;" in line
    assert "Traceback" not in done.stderr
    assert 50 < len((folder / "kept").read_text().splitlines()) < 200
    assert 0 < len((folder / "rows").read_text().splitlines()) < 200
    assert (folder / "empty").read_text() == ""
    assert re.search(r"200 images \(\d+ of an earlier run\), 0 failures", done.stdout)
    assert len(list((folder / "copy" / "masks").iterdir())) == 200
    assert json.loads((folder / "copy" / "summary.json").read_text())["masks"] == 200


def test_a_read_only_folder_is_refused_before_the_job_starts(folder):
    script = f"mkdir disk && mount -t tmpfs -o ro tmpfs disk && {COMMAND} --output=disk/out"
    done = mounted(script, folder)
    assert done.returncode == 2, done.stderr
    (line,) = said(done.stderr)
    assert line.endswith("cannot write to disk/out: the file system is read-only")


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["in_memory", "multi_processing"])
def test_a_folder_that_vanishes_ends_the_job(folder, mode):
    process = start(*FLAGS, "--output=out", f"--direct_running_mode={mode}", cwd=folder)
    while not list(folder.glob("out/masks/*.png")) and process.poll() is None:
        time.sleep(0.01)
    os.rename(folder / "out", folder / "elsewhere")
    _, err = process.communicate()
    assert process.returncode == 1
    last = err.splitlines()[-1]
    assert "the job broke: out has lost its journal: was it moved, or its mount lost?" in last
    assert not (folder / "out" / "summary.json").exists()


@pytest.mark.slow
def test_a_read_that_hangs_is_a_failure_of_its_image(folder):
    os.mkfifo(folder / "in" / "0.jpg")  # Opening it waits for a writer who never comes.
    flags = (*FLAGS, "--output=out", "--read_timeout=1")
    status, out, err = run(*flags, cwd=folder, timeout=120)
    assert status == 0, err
    assert out.startswith("201 images, 1 failures")
    (failure,) = (folder / "out" / "failures").glob("*.jsonl")
    assert json.loads(failure.read_text()) == {
        "key": "0.jpg",
        "stage": "read",
        "reason": "timed_out",
        "message": "nothing came for 1 seconds",
    }


def test_a_plan_says_what_would_be_done_and_does_nothing(folder):
    (folder / "truth").mkdir()
    for name in ("1.png", "2.png", "none.png"):
        shutil.copy(folder / "in" / "1.png", folder / "truth" / name)
    shutil.copy(folder / "in" / "1.png", folder / "in" / "1.jpg")
    # The same folder twice, and a photo in it three times.
    twice = ["--input", "in", "./in", "in/../in/2*"]
    flags = ["--truth=truth", "--threshold=0.5", "--output=new/out", "--plan", *twice]
    status, out, err = run_here("--image_size=64", "--engine=keras", *flags, cwd=folder)
    assert status == 0 and err == "", err
    *lines, last = out.splitlines()
    assert [line for line in lines if not line.startswith(("size ", "expect ", " ", "disk "))] == [
        "input    201 image files, 0 shards",
        "truth    3 masks, for 3 of the image files",
        "unused   1 masks, such as truth/none.png",
        "missing  198 image files have no truth, such as 0.png",
        "names    2 masks cannot have their image's name alone, as others could",
        "model    basnet_mini at 64 x 64, float32 by Keras, batches of 8, "
        "to binary masks of what reaches 0.5",
    ]
    assert last == "output   new/out: is empty or new"
    assert not (folder / "new").exists()
