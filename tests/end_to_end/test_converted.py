"""Published weights, from their file to masks, by the two commands."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.published import write_paper

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_converted_file_annotates_the_bundled_sample(tmp_path):
    pytest.importorskip("torch")
    source, model = tmp_path / "basnet.pth", tmp_path / "basnet.keras"
    write_paper(source)
    for command in (
        f"-m model.convert {source} {model}",
        f"run_pipeline.py --model {model} --image_size 64 --output {tmp_path / 'output'}",
    ):
        command = [sys.executable, *command.split()]
        finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert finished.returncode == 0, finished.stderr
    source.unlink()
    model.unlink()
    assert finished.stdout.startswith("11 images, 0 failures")
    assert len(list((tmp_path / "output" / "masks").rglob("*.png"))) == 11
