"""The command as it is installed."""

import subprocess
import sys

import pytest

CODE = """
import sys
sys.argv[0] = "/somewhere/bin/basnet-annotate"
from pipeline.command.main import console
sys.exit(console())
"""


def installed(*flags):
    return subprocess.run([sys.executable, "-c", CODE, *flags], capture_output=True, text=True)


def test_it_is_called_by_its_name_in_the_help():
    done = installed("--help")
    assert done.returncode == 0 and done.stdout.startswith("usage: basnet-annotate ")
    assert "\n  basnet-annotate --input photos --output annotated\n" in done.stdout
    assert "run_pipeline" not in done.stdout


@pytest.mark.slow
def test_it_is_called_by_its_name_in_errors():
    done = installed("--imput=x")
    assert done.returncode == 2
    assert done.stderr == ("basnet-annotate: unknown argument '--imput=x'; did you mean --input?\n")
