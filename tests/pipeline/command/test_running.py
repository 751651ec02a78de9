"""Two jobs never write to one folder, and a dead one bars nobody."""

import json
import os
import signal
import subprocess
import sys

import pytest

from pipeline.command.options import UsageError, parse
from pipeline.command.running import begin, check_not_running, end

MARK = "journal/running.json"


@pytest.fixture
def output(tmp_path):
    (tmp_path / "journal").mkdir()
    return tmp_path


@pytest.fixture
def other(output):
    """Another process that has begun a job."""
    code = (
        f"from pipeline.command.running import begin; begin({str(output)!r}); print(1, flush=True)"
    )
    code += "; input()"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    process.stdout.readline()
    yield process
    process.kill()
    process.communicate()


def check(output):
    check_not_running(str(output), parse([]))


def refused(output):
    with pytest.raises(UsageError) as refusal:
        check(output)
    return str(refusal.value)


def test_a_process_that_writes_bars_others_until_it_is_gone(output, other):
    assert f"is being written to by process {other.pid} of this machine" in refused(output)
    other.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)  # A zombie, as of a careless parent.
    check(output)
    other.communicate()
    check(output)


def test_a_process_that_got_the_same_number_later_bars_nobody(output, other):
    mark = json.loads((output / MARK).read_text())
    (output / MARK).write_text(json.dumps({**mark, "begun": mark["begun"] - 1}))
    check(output)


def test_a_process_of_another_machine_bars_others_until_its_mark_is_deleted(output):
    (output / MARK).write_text('{"host": "elsewhere", "process": 1, "begun": 1}')
    message = refused(output)
    assert "process 1 of elsewhere" in message
    assert message.endswith(f"delete {output / MARK}")


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"job": {"name": 1}}', '{"host": 1'])
def test_a_damaged_mark_is_named(output, text):
    (output / MARK).write_text(text)
    assert f"{MARK} is damaged" in refused(output)


def test_a_job_leaves_no_mark(output):
    begin(str(output))
    check(output)  # This process itself.
    end(str(output))
    assert not (output / MARK).exists()
    end(str(output))
    check(output)


def test_a_job_service_that_does_not_answer_bars_others_until_the_mark_is_deleted(output):
    job = {"id": "job-1", "endpoint": "localhost:1", "project": "", "region": ""}
    (output / MARK).write_text(json.dumps({"job": job}))
    message = refused(output)
    assert "job job-1, whose state is not known" in message
    assert message.endswith(f"delete {output / MARK}")
