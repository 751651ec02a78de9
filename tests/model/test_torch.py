import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent


@pytest.mark.skipif(find_spec("torch") is None, reason="needs PyTorch")
@pytest.mark.slow
def test_training_is_keras_own_on_pytorch():
    """Tests of parts that have kernels of PyTorch's; the backend is chosen once for a process."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0"]
    outcome = subprocess.run(
        [*command, FOLDER / "test_fused.py", FOLDER / "test_optimizer.py"],
        env={**os.environ, "KERAS_BACKEND": "torch"},
        cwd=FOLDER.parents[1],
        capture_output=True,
        text=True,
    )
    assert outcome.returncode == 0 and " 3 passed" in outcome.stdout.replace("\n", " "), (
        outcome.stdout
    )
