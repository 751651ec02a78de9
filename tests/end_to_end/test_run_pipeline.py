"""The command as a user gives it, in a process of its own."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from PIL import Image

from tests.end_to_end.command import ROOT, SCRIPT, run, run_here, write_network


@pytest.fixture(scope="module")
def isolated():
    """What starts a command in a network namespace of its own, which holds no interface."""
    command = ["unshare", "--net", "--map-root-user"]
    if shutil.which("unshare") is None or subprocess.run([*command, "true"]).returncode:
        return []  # This system has none.
    return command


@pytest.fixture(scope="module")
def sample(isolated, tmp_path_factory):
    """The command without flags but the runner, from another working directory."""
    cwd = tmp_path_factory.mktemp("elsewhere")
    command = [*isolated, sys.executable, str(SCRIPT), "--runner=DirectRunner", "--quiet"]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    return (done.returncode, done.stdout, done.stderr), cwd / "output"


def test_annotates_the_bundled_sample(sample):
    (status, out, err), output = sample
    assert status == 0, err
    # Nothing else is said on a machine without a GPU, by TensorFlow neither.
    assert re.fullmatch(
        r"11 images, 0 failures, \d+\.\d s, \d+\.\d images/s, output in output\n",
        out + err,
    )
    assert len(list(output.glob("masks/*/*.png"))) == 11
    lines = (output / "metrics" / "metrics-00000-of-00001.jsonl").read_text().splitlines()
    assert len(lines) == 11
    assert json.loads((output / "summary.json").read_text())["with_truth"] == 5
    assert not list(output.rglob("*.tmp"))


def test_needs_no_network(isolated, sample):
    (status, out, _), _ = sample
    if not isolated:
        pytest.skip("this system has no network namespaces")
    assert status == 0 and out.startswith("11 images, 0 failures")


def test_the_rotated_photo_has_an_upright_mask(sample):
    _, output = sample
    assert Image.open(next(output.glob("masks/*/hopper.png"))).size == (512, 600)


def test_masks_show_the_objects(sample):
    _, output = sample
    metrics = json.loads((output / "summary.json").read_text())["metrics"]
    # Random weights give 0.08, a mask of everything 0.49, the bundled ones 0.90.
    assert metrics["iou"] > 0.8


def test_refuses_an_output_that_is_not_empty(sample):
    _, output = sample
    status, _, err = run_here("--runner=DirectRunner", cwd=output.parent)
    assert status == 2
    assert "--output 'output' is not empty" in err
    assert len(list(output.glob("masks/*/*.png"))) == 11


@pytest.mark.slow
def test_overwrite_replaces_what_was_there(tmp_path):
    old = tmp_path / "output"
    (old / "masks").mkdir(parents=True)
    (old / "masks" / "stale.png").write_bytes(b"")
    (old / "journal").mkdir()
    (old / "journal" / "job.json").write_bytes(b"")
    (old / "notes.txt").write_text("mine")
    Image.new("RGB", (40, 30), "red").save(tmp_path / "flower.jpg")
    write_network(tmp_path / "net.keras")
    flags = ("--input=flower.jpg", "--model=net.keras", "--image_size=64", "--threshold=0.5")
    status, _, err = run_here(*flags, "--overwrite", cwd=tmp_path)
    assert status == 0, err
    assert [path.name for path in (old / "masks").iterdir()] == ["flower.png"]
    assert Image.open(old / "masks" / "flower.png").mode == "1"
    assert (old / "notes.txt").read_text() == "mine"


def test_too_many_failures_give_status_3(tmp_path):
    (tmp_path / "text.jpg").write_text("not an image")
    status, out, err = run_here("--input", tmp_path / "text.jpg", cwd=tmp_path)
    assert status == 3, err
    assert "1 failed: not_an_image" in err
    assert out.startswith("1 images, 1 failures, ")


def test_wrong_usage_gives_status_2(tmp_path):
    """Other flags are tried in tests/pipeline/command."""
    status, out, err = run("--threshhold=1", cwd=tmp_path)
    message = "unknown argument '--threshhold=1'; did you mean --threshold?"
    assert (status, out, err) == (2, "", f"run_pipeline.py: {message}\n")


def test_a_file_that_is_no_model_is_refused_before_the_job_starts(tmp_path):
    (tmp_path / "net.keras").write_text("a page that says that the file has moved")
    status, _, err = run_here("--model=net.keras", cwd=tmp_path)
    (message,) = err.splitlines()
    assert status == 2
    assert message.startswith(
        "run_pipeline.py: --model 'net.keras' cannot be used: it is no .keras"
    )
    assert not (tmp_path / "output").exists()


def test_help_is_quick_and_loads_neither_beam_nor_tensorflow(tmp_path):
    code = f"""
import runpy, sys
for name in ("apache_beam", "tensorflow", "keras"):
    sys.modules[name] = None  # importing it raises
sys.argv = [{str(SCRIPT)!r}, "--help"]
sys.path.insert(0, {str(ROOT)!r})
runpy.run_path({str(SCRIPT)!r}, run_name="__main__")
"""
    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path
    )
    assert finished.returncode == 0, finished.stderr
    for flag in ("--input", "--output", "--model", "--masks", "--truth", "--threshold"):
        assert flag in finished.stdout
    seconds = []
    for _ in range(3):
        before = os.times()
        run("--help", cwd=tmp_path)
        after = os.times()
        # Of the processor, which does not depend on what else the machine does.
        seconds.append(sum(after[2:4]) - sum(before[2:4]))
    assert min(seconds) < 0.5
