"""What the command does without when it imports Beam."""

import subprocess
import sys

import pytest

from pipeline.command.lean_imports import without_pandas
from tests.end_to_end.command import ROOT

CODE = """
import sys
from pipeline.command.lean_imports import without_pandas
with without_pandas():
    import apache_beam
assert "apache_beam" in sys.modules and "pandas" not in sys.modules
import pandas, pyarrow
assert pyarrow.table({"a": [1]}).to_pandas().equals(pandas.DataFrame({"a": [1]}))
"""


def test_pandas_is_not_imported_and_can_be_afterwards():
    subprocess.run([sys.executable, "-c", CODE], cwd=ROOT, check=True)


def test_pandas_that_is_there_stays():
    pandas = pytest.importorskip("pandas")
    with without_pandas():
        assert sys.modules["pandas"] is pandas
    assert sys.modules["pandas"] is pandas
