import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent


@pytest.mark.skipif(find_spec("torch") is None, reason="needs PyTorch")
@pytest.mark.slow
def test_parts_with_kernels_of_pytorch_equal_keras_own():
    """Runs the tests of parts with kernels of PyTorch, in a process with that backend."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0"]
    outcome = subprocess.run(
        [*command, FOLDER / "test_fused_normalization.py", FOLDER / "test_optimizer.py"],
        env={**os.environ, "KERAS_BACKEND": "torch"},
        cwd=FOLDER.parents[2],
        capture_output=True,
        text=True,
    )
    assert outcome.returncode == 0 and " 3 passed" in outcome.stdout.replace("\n", " "), (
        outcome.stdout
    )
