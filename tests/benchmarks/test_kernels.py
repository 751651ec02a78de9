"""All commands choose TensorFlow's kernels before they load it, as it asks only then."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUARD = """
import importlib, os, sys

class Guard:
    def find_spec(self, name, path=None, target=None):
        if name == "tensorflow":
            assert "TF_ENABLE_ONEDNN_OPTS" in os.environ
            print("loaded")

sys.meta_path.insert(0, Guard())
importlib.import_module(sys.argv[1])
"""


@pytest.mark.parametrize(
    "command",
    [
        "model.convert",
        pytest.param("benchmarks.network", marks=pytest.mark.slow),
        pytest.param("benchmarks.pipeline", marks=pytest.mark.slow),
    ],
)
def test_kernels_are_chosen_before_tensorflow_is_loaded(command):
    environment = {k: v for k, v in os.environ.items() if k != "TF_ENABLE_ONEDNN_OPTS"}
    run = [sys.executable, "-c", GUARD, command]
    assert "loaded" in subprocess.check_output(run, cwd=ROOT, env=environment, text=True)
