"""Time and memory of commands."""

import resource
import subprocess
import sys

import pytest

from benchmarks.machine import CORES
from benchmarks.timed_commands import Usage, check_all_have_masks, reported_seconds, run


def test_processor_seconds_are_those_of_all_threads_and_wall_those_of_the_clock():
    # Hashing of large data frees the lock: two threads are busy at once where there are two cores.
    code = """
import hashlib, resource, threading, time
data = bytes(1 << 24)
def work():
    end = time.thread_time() + 0.3
    while time.thread_time() < end:
        hashlib.sha256(data)
threads = [threading.Thread(target=work) for _ in range(2)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
time.sleep(0.5)
used = resource.getrusage(resource.RUSAGE_SELF)
print(used.ru_utime + used.ru_stime)
"""
    usage = run([sys.executable, "-c", code])
    own = float(usage.text)
    assert own > 0.6
    assert own <= usage.processor < own + 0.2
    assert usage.wall > 0.5 + 0.6 / CORES
    assert usage.idle == pytest.approx(usage.wall * CORES / usage.processor)


@pytest.mark.slow
def test_peak_memory_is_that_of_the_process_even_after_it_was_freed():
    # What this process has held counts as the command's, too.
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    code = f"data = b'x' * ({own + 200} << 20); del data"
    assert own + 200 < run([sys.executable, "-c", code]).peak < own + 300


def test_a_command_that_fails_tells_what_it_printed():
    with pytest.raises(subprocess.CalledProcessError) as caught:
        run([sys.executable, "-c", "print('out'); raise SystemExit(3)"])
    assert caught.value.returncode == 3
    assert caught.value.output == "out\n"


def test_the_seconds_of_the_last_line_are_found():
    text = "a notice\n11 images, 0 failures, 7.5 s, 1.5 images/s, output in output\n"
    assert reported_seconds(Usage(9.0, 12.0, 500.0, text)) == 7.5


@pytest.mark.parametrize("counts", ["4 images, 1 failures", "3 images, 0 failures"])
def test_a_job_that_leaves_an_image_without_a_mask_is_no_measurement(counts):
    text = f"1 failed: not_an_image\n{counts}, 7.5 s, 1.5 images/s, output in output\n"
    with pytest.raises(RuntimeError, match="1 failed: not_an_image"):
        check_all_have_masks(Usage(9.0, 12.0, 500.0, text), photos=4)


def test_a_job_with_a_mask_for_every_image_is_a_measurement():
    text = "4 images, 0 failures, 7.5 s, 1.5 images/s, output in output\n"
    check_all_have_masks(Usage(9.0, 12.0, 500.0, text), photos=4)
