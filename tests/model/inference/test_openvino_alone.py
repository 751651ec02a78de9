"""OpenVINO tells nobody that it is imported."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CODE = """
import sys
from model.inference.openvino_model import load_for_openvino
load_for_openvino("basnet_mini", 64)
assert "openvino_telemetry" not in sys.modules
"""


@pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="needs OpenVINO")
def test_nothing_is_reported_and_nothing_is_written_at_home(tmp_path):
    # On servers that run tests it would report nothing anyway.
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    environment |= {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", CODE], env=environment, check=True)
    assert list(tmp_path.iterdir()) == []
