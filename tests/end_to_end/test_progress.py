"""How far the command is, on a terminal and in a file, until its last lines."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from tests.end_to_end.command import ROOT, SCRIPT, run
from tests.end_to_end.many_photos import FLAGS, write_photos
from tests.terminal import pseudo_terminal, screen

LAST = r"61 images, 1 failures, \d+\.\d s, \d+\.\d images/s, output in output"


@pytest.fixture
def folder(tmp_path):
    """A folder with photos, and a file that is none."""
    write_photos(tmp_path, 60)
    (tmp_path / "in" / "none.jpg").write_bytes(b"no photo")
    return tmp_path


def on_terminal(terminal, folder, *flags):
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *FLAGS, *flags],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)},
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )


def watched(read, process):
    """All that a command sends to a terminal."""
    sent = ""
    while process.poll() is None:
        sent += read()
    return sent + read()


def check(sent, folder):
    """Whether a terminal showed a bar from the beginning to the end, and then the last lines."""
    drawn = [line.rstrip() for line in re.split(r"[\r\n]+", sent)]
    assert any(line.startswith("starting, 0:0") for line in drawn)
    assert any(line.startswith("checking flags and files, 0:") for line in drawn)
    assert any(re.search(r"\d+% \|.*\| \d+ of 61 images, [01] failures", line) for line in drawn)
    shown = screen(sent)
    assert shown[0] == "1 failed: not_an_image" and re.fullmatch(LAST, shown[1]), shown
    assert shown[2:] == [""]
    # Nothing is left of what was counted.
    assert not list(folder.glob("basnet-annotator-*"))


def test_on_a_terminal_there_is_a_bar_and_in_the_end_nothing_but_the_last_lines(folder):
    with pseudo_terminal() as (terminal, read):
        process = on_terminal(terminal, folder)
        check(watched(read, process), folder)
    assert process.returncode == 0


@pytest.mark.slow
def test_worker_processes_are_counted(folder):
    flags = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")
    with pseudo_terminal() as (terminal, read):
        process = on_terminal(terminal, folder, *flags)
        check(watched(read, process), folder)
    assert process.returncode == 0


def test_an_interrupt_takes_the_bar_away_and_says_how_to_go_on(folder):
    with pseudo_terminal() as (terminal, read):
        process = on_terminal(terminal, folder)
        sent = ""
        while " of 61 images" not in sent and process.poll() is None:
            sent += read()
        os.killpg(process.pid, signal.SIGINT)
        sent += watched(read, process)
    assert process.returncode == 130
    first, *rest = screen(sent)
    assert first.startswith("run_pipeline.py: interrupted; what is finished is kept")
    assert "--resume" in first and rest == [""]
    assert not (folder / "output" / "summary.json").exists()
    assert not list(folder.glob("basnet-annotator-*"))


def test_a_wrong_flag_leaves_nothing_of_a_bar(folder):
    with pseudo_terminal() as (terminal, read):
        process = on_terminal(terminal, folder, "--treshold=1")
        shown = screen(watched(read, process))
    assert process.returncode == 2
    message = "run_pipeline.py: unknown argument '--treshold=1'; did you mean --threshold?"
    assert shown == [message, ""]


@pytest.mark.slow
def test_a_quiet_command_says_its_last_lines_alone(folder):
    with pseudo_terminal() as (terminal, read):
        process = on_terminal(terminal, folder, "--quiet")
        sent = watched(read, process)
    assert process.returncode == 0
    assert re.fullmatch(rf"1 failed: not_an_image\n{LAST}\n", sent)


@pytest.mark.slow
def test_a_file_gets_lines_without_carriage_returns(folder):
    begun = time.monotonic()
    status, out, err = run(*FLAGS, cwd=folder, quiet=False)
    assert status == 0 and re.fullmatch(LAST, out.rstrip())
    *progress, failed = err.splitlines()
    assert failed == "1 failed: not_an_image" and "\r" not in out + err
    # One each half minute, if the machine is that slow.
    assert len(progress) <= (time.monotonic() - begun) / 30
    assert all(line.startswith("run_pipeline.py: ") for line in progress)
