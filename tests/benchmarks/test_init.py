"""All commands choose TensorFlow's kernels before they load it, as it asks only then."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_kernels_are_chosen_before_tensorflow_is_loaded():
    code = (
        "import benchmarks, os, sys; "
        "print('tensorflow' in sys.modules, os.environ['TF_ENABLE_ONEDNN_OPTS'])"
    )
    environment = {k: v for k, v in os.environ.items() if k != "TF_ENABLE_ONEDNN_OPTS"}
    command = [sys.executable, "-c", code]
    printed = subprocess.check_output(command, cwd=ROOT, env=environment, text=True)
    assert printed.split() == ["False", "1"]
