"""Two jobs never write to one folder, and a dead one bars nobody."""

import json
import os
import signal
import socket
import subprocess
import sys

import pytest

from pipeline.command.options import UsageError, parse
from pipeline.command.running import _begun, begin, check_not_running, claimed, end, made_into
from pipeline.storage.running_mark import drop_mark_of_template
from tests.pipeline.shard_files import files_below

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


def test_a_job_of_a_template_bars_others_until_it_removes_its_mark(output):
    made_into(str(output), "gs://bucket/template")
    message = refused(output)
    assert "by a job of the template gs://bucket/template" in message
    assert message.endswith(f"delete {output / MARK}")
    drop_mark_of_template(str(output))
    check(output)
    drop_mark_of_template(str(output))
    begin(str(output))
    drop_mark_of_template(str(output))
    assert (output / MARK).exists()
    (output / MARK).write_text('{"templ')
    drop_mark_of_template(str(output))  # A job that is done is not lost for it.
    assert (output / MARK).exists()


# Claims

_CLAIMS = """
import sys, time
from pipeline.command.options import UsageError, parse
from pipeline.command.running import begin, claimed
options = parse([])
print("ready", flush=True)
input()
try:
    with claimed(sys.argv[1], options):
        begin(sys.argv[1])
    print("begun", flush=True)
except UsageError as error:
    print(error, flush=True)
input()
"""


def starters(output, count):
    """Commands that wait for a line before they claim a folder."""
    command = [sys.executable, "-c", _CLAIMS, str(output)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    started = [subprocess.Popen(command, **pipes) for _ in range(count)]
    assert all(process.stdout.readline() == "ready\n" for process in started)
    return started


def tell(processes):
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()


def test_of_commands_that_start_at_once_at_most_one_begins(output):
    processes = starters(output, 4)
    try:
        tell(processes)
        lines = [process.stdout.readline() for process in processes]
        begun = [line for line in lines if line == "begun\n"]
        others = [line for line in lines if line != "begun\n"]
        assert len(begun) <= 1
        assert all("is being written to by process" in line for line in others)
        # Nobody is left in the way but who has begun.
        assert files_below(output) == ([MARK] if begun else [])
        tell(processes)
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    check(output)


def test_a_claim_bars_others_while_its_command_lives(output, other):
    end(str(output))
    mark = {"host": socket.gethostname(), "process": other.pid, "begun": _begun(other.pid)}
    claim = output / "temporary" / "starting-1.json"
    claim.parent.mkdir(exist_ok=True)
    claim.write_text(json.dumps(mark))
    with (
        pytest.raises(UsageError, match=f"by process {other.pid} of this machine"),
        claimed(str(output), parse([])),
    ):
        raise AssertionError
    assert files_below(output) == ["temporary/starting-1.json"]
    other.kill()
    other.communicate()
    with claimed(str(output), parse([])):
        assert len(files_below(output)) == 2
    assert files_below(output) == ["temporary/starting-1.json"]


def test_who_begins_between_the_checks_of_another_bars_it(output, other):
    with (
        pytest.raises(UsageError, match=f"by process {other.pid} of this machine"),
        claimed(str(output), parse([])),
    ):
        raise AssertionError
    assert files_below(output) == [MARK]
