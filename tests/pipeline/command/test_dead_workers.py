"""A run whose worker has died ends, even where Beam would wait for it without end."""

import inspect
import subprocess
import sys

from apache_beam.runners.portability.fn_api_runner import worker_handlers
from apache_beam.runners.worker import data_plane

from pipeline.command.dead_workers import BEAMS_NAME
from pipeline.command.endings import is_understood, reason_of

# A thread of Beam's that waits for a worker fails; the main thread does what the test says.
PROGRAM = """
import threading, time
from pipeline.command.dead_workers import watch_workers

def fail():
    raise RuntimeError("return code -9")

watch_workers("gone: {}".format, grace=GRACE)
threading.Thread(target=fail, name=NAME).start()
time.sleep(SLEEP)
print("ended by itself")
"""


def run(name, grace, sleep):
    program = PROGRAM.replace("NAME", repr(name))
    program = program.replace("GRACE", str(grace)).replace("SLEEP", str(sleep))
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )


def test_a_run_that_waits_for_a_dead_worker_is_ended():
    ended = run("run_worker", grace=0.1, sleep=50)
    assert ended.returncode == 1 and ended.stdout == ""
    assert ended.stderr.splitlines()[-1] == "gone: a worker has died: return code -9"
    # The usual report is there, too.
    assert "Traceback" in ended.stderr


def test_the_thread_is_named_as_beam_names_it():
    source = inspect.getsource(worker_handlers.SubprocessSdkWorkerHandler.start_worker)
    assert f"name='{BEAMS_NAME}'" in source and "target=self.worker.run" in source


def test_a_connection_that_ends_with_its_worker_is_not_reported():
    program = PROGRAM.replace("NAME", "'x'").replace("GRACE", "1").replace("SLEEP", "0.1")
    program = program.replace('RuntimeError("return code -9")', "__import__('grpc').RpcError()")
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ended.stdout, ended.stderr) == ("ended by itself\n", "")


def test_a_worker_that_the_runner_misses_is_said_in_plain_words():
    source = inspect.getsource(data_plane)
    error = RuntimeError("Channel closed prematurely.")
    assert f"raise {error!r}" in source
    assert is_understood(error) and "a worker process has died" in reason_of(error)
    assert not is_understood(RuntimeError("another"))


def test_a_run_that_ends_in_time_keeps_its_status():
    ended = run("run_worker", grace=30, sleep=0.2)
    assert ended.returncode == 0 and ended.stdout == "ended by itself\n"
    assert "gone" not in ended.stderr


def test_other_threads_are_not_watched():
    ended = run("another", grace=0.1, sleep=1)
    assert ended.returncode == 0 and ended.stdout == "ended by itself\n"
