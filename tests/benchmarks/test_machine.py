"""How the machine is described, and what other programs used of it."""

import platform
import subprocess
import sys

import numpy as np
import pytest

from benchmarks.machine import ProcessorTime, machine, processor_time, share_of_others


def test_the_machine_is_described_by_its_processor_and_versions():
    described = machine()
    assert described["python"] == platform.python_version()
    assert int(described["cores"]) >= 1
    assert described["numpy"] == np.__version__
    assert {"processor", "memory", "tensorflow", "keras", "apache-beam"} <= described.keys()


@pytest.mark.parametrize(("all_", "own", "share"), [(12, 7, 0.25), (16, 13, 0.15), (4, 5, 0.0)])
def test_only_what_other_programs_do_counts_as_theirs(all_, own, share):
    before = ProcessorTime(wall=7.0, all=100.0, own=50.0)
    after = ProcessorTime(before.wall + 10, before.all + all_, before.own + own)
    assert share_of_others(before, after, cores=2) == pytest.approx(share)


@pytest.mark.skipif(processor_time() is None, reason="this system has no /proc/stat")
def test_a_command_that_was_waited_for_is_no_other_program():
    before = processor_time()
    subprocess.run([sys.executable, "-c", "import time\nwhile time.process_time() < 0.5: pass"])
    after = processor_time()
    assert after.own - before.own == pytest.approx(0.5, abs=0.15)
    # The clock of all programs has ticks of a hundredth of a second.
    assert after.all - before.all > after.own - before.own - 0.1
