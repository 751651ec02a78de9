"""The command as a user gives it, in a process of its own."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from PIL import Image

from tests.end_to_end.command import ROOT, SCRIPT, run, write_network


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """The command without flags but the runner, from another working directory."""
    cwd = tmp_path_factory.mktemp("elsewhere")
    return run("--runner=DirectRunner", cwd=cwd), cwd / "output"


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


@pytest.mark.slow
def test_needs_no_network(tmp_path):
    # A network namespace of its own holds no interface that is up.
    isolated = ["unshare", "--net", "--map-root-user"]
    if shutil.which("unshare") is None or subprocess.run([*isolated, "true"]).returncode:
        pytest.skip("this system has no network namespaces")
    command = [*isolated, sys.executable, str(SCRIPT), "--runner=DirectRunner"]
    finished = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.startswith("11 images, 0 failures")


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
    status, _, err = run("--runner=DirectRunner", cwd=output.parent)
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
    status, _, err = run(*flags, "--overwrite", cwd=tmp_path)
    assert status == 0, err
    assert [path.name for path in (old / "masks").iterdir()] == ["flower.png"]
    assert Image.open(old / "masks" / "flower.png").mode == "1"
    assert (old / "notes.txt").read_text() == "mine"


def test_too_many_failures_give_status_3(tmp_path):
    (tmp_path / "text.jpg").write_text("not an image")
    status, out, err = run("--input", tmp_path / "text.jpg", cwd=tmp_path)
    assert status == 3, err
    assert "1 failed: not_an_image" in err
    assert out.startswith("1 images, 1 failures, ")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--threshhold=1"], "unknown argument '--threshhold=1'; did you mean --threshold?"),
        (["--input=nowhere/*.jpg"], "--input 'nowhere/*.jpg' matches no file"),
        (["--model=basnet_min"], "did you mean basnet_mini?"),
        (["--masks=x"], "--masks needs --truth"),
    ],
)
def test_wrong_usage_gives_status_2(flags, message, tmp_path):
    status, _, err = run(*flags, cwd=tmp_path)
    assert status == 2
    assert message in err
    assert len(err.splitlines()) == 1


def test_a_file_that_is_no_model_is_refused_before_the_job_starts(tmp_path):
    (tmp_path / "net.keras").write_text("a page that says that the file has moved")
    status, _, err = run("--model=net.keras", cwd=tmp_path)
    assert status == 2
    # TensorFlow greets on this stream before it can be told not to.
    message = err.splitlines()[-1]
    assert message.startswith(
        "run_pipeline.py: --model 'net.keras' cannot be used: it is no .keras"
    )
    assert err.count("run_pipeline.py") == 1
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
