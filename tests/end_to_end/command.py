"""The command as a user gives it, in a process of its own or in this, and a small network."""

import contextlib
import io
import logging
import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

import keras

from pipeline.command.run import annotate

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


def run_here(*flags, cwd, **environment):
    """Runs the command in this process: its status, what it printed, and its standard error.

    This spares it the start of a process, which loads Beam and TensorFlow: three quarters of the
    time of a small job. Ctrl-C and the progress are not the command's then.
    """
    out, err = io.StringIO(), io.StringIO()
    # What Python does with warnings where nobody has set up logging, as pytest has.
    handler = logging.StreamHandler(err)
    handler.setLevel(logging.WARNING)
    # Another test has run a network.
    handler.addFilter(lambda record: "TensorFlow has started already" not in record.getMessage())
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.chdir(cwd))
        stack.enter_context(mock.patch.dict(os.environ, environment))
        stack.enter_context(contextlib.redirect_stdout(out))
        stack.enter_context(contextlib.redirect_stderr(err))
        logging.getLogger().addHandler(handler)
        stack.callback(logging.getLogger().removeHandler, handler)
        status = annotate([*map(str, flags), "--quiet"])
    return status, out.getvalue(), err.getvalue()


def said(err):
    """The lines of standard error that the command itself wrote."""
    return [line for line in err.splitlines() if line.startswith("run_pipeline.py")]


def small_network():
    """A network of two layers, whose maps depend on the photo."""
    keras.utils.set_random_seed(0)
    image = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / 255)(image)
    return keras.Model(image, keras.layers.Conv2D(1, 3, padding="same", activation="sigmoid")(x))


def write_network(path):
    """Writes the small network to a file."""
    small_network().save(path)
