import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("theirs", [None, "0"])
def test_chooses_tensorflows_kernels_unless_told_otherwise(theirs):
    code = "import model, os; print(os.environ['TF_ENABLE_ONEDNN_OPTS'])"
    given = {key: value for key, value in os.environ.items() if key != "TF_ENABLE_ONEDNN_OPTS"}
    given |= {} if theirs is None else {"TF_ENABLE_ONEDNN_OPTS": theirs}
    run = [sys.executable, "-c", code]
    assert subprocess.check_output(run, cwd=ROOT, env=given, text=True).strip() == (theirs or "1")
