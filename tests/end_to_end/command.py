"""The command as a user gives it, in a process of its own, and a network that loads fast."""

import os
import subprocess
import sys
from pathlib import Path

import keras

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "run_pipeline.py"


def start(*flags, cwd, script=SCRIPT, quiet=True, **environment):
    """The command in a process group of its own, so that its workers can be killed with it.

    It is quiet by default: a machine that is slow would make a line each half minute of it.
    """
    flags = (*flags, *(["--quiet"] if quiet else []))
    return subprocess.Popen(
        [sys.executable, str(script), *map(str, flags)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run(*flags, timeout=None, **options):
    """Runs the command to its end: its status, what it printed, and its standard error."""
    process = start(*flags, **options)
    out, err = process.communicate(timeout=timeout)
    return process.returncode, out, err


def said(err):
    """The lines of standard error that the command itself wrote."""
    return [line for line in err.splitlines() if line.startswith("run_pipeline.py")]


def write_network(path):
    """Writes a network of two layers, whose maps depend on the photo."""
    keras.utils.set_random_seed(0)
    image = keras.Input((64, 64, 3))
    x = keras.layers.Rescaling(1 / 255)(image)
    keras.Model(image, keras.layers.Conv2D(1, 3, padding="same", activation="sigmoid")(x)).save(
        path
    )
