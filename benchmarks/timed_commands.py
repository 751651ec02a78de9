"""Runs commands, `run_pipeline.py` above all, and measures their time and memory."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import CORES

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "run_pipeline.py"

_LAST_LINE = re.compile(r"^(\d+) images, (\d+) failures, ([\d.]+) s, ", re.MULTILINE)


@dataclass(frozen=True)
class Usage:
    """Time and memory of a command.

    Attributes:
        wall: Seconds from its start to its end.
        processor: Seconds of processor time, user and system, of all its threads and of the
            processes that it waited for.
        peak: Largest resident memory of any of its processes, in MiB. A forked process inherits
            the figure of its parent, so it is at least what the measuring process itself holds.
        text: What it printed.
    """

    wall: float
    processor: float
    peak: float
    text: str

    @property
    def idle(self) -> float:
        """Wall time divided by what it would be if all cores had been busy all the time."""
        return self.wall / (self.processor / CORES)


def run(
    command: Sequence[str | Path],
    folder: Path = ROOT,
    environment: Mapping[str, str] | None = None,
) -> Usage:
    """Runs a command and waits for it.

    Args:
        command: Program and arguments.
        folder: Working directory; the repository if not given.
        environment: Environment variables; those of this process if not given.

    Raises:
        subprocess.CalledProcessError: The command failed; `output` is what it printed.
    """
    # To a file: a full pipe would make the command wait.
    with tempfile.TemporaryFile("w+") as text:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=text, stderr=subprocess.STDOUT
        )
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        text.seek(0)
        printed = text.read()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args, printed)
    return Usage(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, printed)


def annotate(photos: Path, output: Path, flags: Iterable[object] = ()) -> Usage:
    """Runs `run_pipeline.py` on a folder.

    Args:
        photos: Folder of image files.
        output: Folder to write to.
        flags: Further flags.

    Raises:
        subprocess.CalledProcessError: The job failed.
        RuntimeError: The job did not write a mask for every image.
    """
    command = [sys.executable, SCRIPT, "--input", photos, "--output", output, *map(str, flags)]
    usage = run(command)
    check_all_have_masks(usage, len(list(photos.iterdir())))
    return usage


def check_all_have_masks(usage: Usage, photos: int) -> None:
    """Raises a RuntimeError unless `run_pipeline.py` reported a mask for every photo."""
    images, failures, _ = _last_line(usage)
    if failures or images != photos:
        raise RuntimeError(f"not every image has a mask:\n{usage.text}")


def reported_seconds(usage: Usage) -> float:
    """Returns the seconds that the last line of `run_pipeline.py` states."""
    return _last_line(usage)[2]


def _last_line(usage: Usage) -> tuple[int, int, float]:
    images, failures, seconds = _LAST_LINE.findall(usage.text)[-1]
    return int(images), int(failures), float(seconds)
