"""Ctrl-C: one line and status 130, early, and late in several processes.

Late in one process: test_progress.py.
"""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.end_to_end.command import start
from tests.end_to_end.many_photos import FLAGS, write_photos


@pytest.fixture
def folder(tmp_path):
    """A folder with photos."""
    write_photos(tmp_path, 300)
    return tmp_path


def processor_seconds(process):
    """What a process has used of a processor, which does not depend on the rest of the machine."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def in_group(group):
    """Commands of the processes of a group that have not ended."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state != "Z":
                found.append((stat.parent / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue  # It has just ended.
    return found


def interrupt(process):
    """Ctrl-C as a terminal gives it: to the whole group."""
    os.killpg(process.pid, signal.SIGINT)
    try:
        return process.communicate(timeout=30)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def wait_for_masks(process, output):
    while not list(output.glob("masks/*.png")) and process.poll() is None:
        time.sleep(0.01)
    assert process.poll() is None, process.stderr.read()


def test_right_after_the_start_one_line_says_so(folder):
    process = start(*FLAGS, cwd=folder)
    while processor_seconds(process.pid) < 0.2:
        time.sleep(0.005)
    out, err = interrupt(process)
    assert process.returncode == 130, err
    assert (out, err.count("\n")) == ("", 1), err
    assert err.startswith("run_pipeline.py: interrupted; ")


@pytest.mark.slow
def test_worker_processes_end_with_the_command_and_say_nothing(folder):
    flags = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")
    process = start(*FLAGS, *flags, cwd=folder)
    wait_for_masks(process, folder / "output")
    assert len(in_group(process.pid)) > 2
    _, err = interrupt(process)
    assert process.returncode == 130, err
    assert err.splitlines()[-1].startswith("run_pipeline.py: interrupted; "), err
    assert "Traceback" not in err
    end = time.monotonic() + 5
    while in_group(process.pid) and time.monotonic() < end:
        time.sleep(0.05)
    assert in_group(process.pid) == []
