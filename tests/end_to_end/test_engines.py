"""The command by OpenVINO, where neither TensorFlow nor Keras can be imported."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.end_to_end.command import ROOT, run

pytest.importorskip("openvino", reason="OpenVINO is not installed")

WITHOUT = """
import sys
sys.modules.update(tensorflow=None, keras=None)  # Importing them raises.
from pipeline.command.main import console
console()
"""


@pytest.fixture(scope="module")
def by_openvino(tmp_path_factory):
    """The bundled sample, annotated without the other engine's libraries."""
    cwd = tmp_path_factory.mktemp("without")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, "--engine=openvino", "--quiet"],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("11 images, 0 failures")
    return cwd / "output"


def test_a_job_by_openvino_needs_neither_tensorflow_nor_keras(by_openvino):
    assert json.loads((by_openvino / "summary.json").read_text())["metrics"]["iou"] > 0.8
    assert json.loads((by_openvino / "journal" / "job.json").read_text())["engine"] == "openvino"
    assert "openvino" in (by_openvino / "report.html").read_text()


@pytest.mark.slow
def test_masks_are_those_of_keras_to_a_level(by_openvino, tmp_path):
    status, _, err = run("--engine=keras", cwd=tmp_path)
    assert status == 0, err
    masks = list(by_openvino.rglob("*.png"))
    assert len(masks) == 11
    for path in masks:
        ours = np.asarray(Image.open(path), int)
        theirs = np.asarray(Image.open(tmp_path / "output" / path.relative_to(by_openvino)), int)
        assert np.abs(ours - theirs).max() <= 1


def test_an_onnx_file_with_its_card_makes_the_network_s_own_masks(tmp_path):
    pytest.importorskip("onnx", reason="onnx is not installed")
    from tests.model.inference.onnx_files import CARD, SIZE, expected, write_onnx

    write_onnx(tmp_path / "net.onnx", card=CARD | {"divisor": "largest", "resize": "lanczos"})
    photo = np.random.default_rng(2).integers(0, 200, (70, 50, 3), dtype=np.uint8)
    small = Image.fromarray(photo).resize((SIZE, SIZE), Image.Resampling.LANCZOS)
    (tmp_path / "in").mkdir()
    Image.fromarray(photo).save(tmp_path / "in" / "large.png")
    small.save(tmp_path / "in" / "small.png")
    status, _, err = run("--input=in", "--output=out", "--model=net.onnx", cwd=tmp_path)
    assert status == 0, err
    pixels = np.asarray(small)[None]
    own = expected(pixels, pixels.max())[0] * 255
    assert own.min() > 0 and np.ptp(own) > 50 and own.max() < 255
    found = np.asarray(Image.open(tmp_path / "out" / "masks" / "small.png"), float)
    assert np.abs(found - own).max() <= 1
    large = Image.fromarray(own.astype(np.float32)).resize((50, 70), Image.Resampling.BILINEAR)
    found = np.asarray(Image.open(tmp_path / "out" / "masks" / "large.png"), float)
    assert np.abs(found - np.asarray(large)).max() <= 1
