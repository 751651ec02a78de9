"""Which job writes to an output folder, so that no second one joins it.

``journal/running.json`` is the mark. It names the process that prepares the job, then the job
itself once a service has it, or the template that the job is made from. It is removed when the job
has ended. After a crash it stays, and the process or the service is asked.

Before the mark there is a claim, a file of its own for each command. A command writes its claim,
then looks for those of others, then for the mark; and it takes back its claim after its mark is
there. So of two commands that start at once at most one goes on, wherever a file that was written
is in the next listing: on disks, in buckets, and on HDFS. A network disk whose clients remember
listings for some seconds may let both through.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from apache_beam.options.pipeline_options import PipelineOptions

from pipeline.command.options import UsageError, unusable
from pipeline.command.remote_jobs import RemoteJob, has_ended, state_of
from pipeline.storage.running_mark import (
    drop_claim,
    drop_mark,
    mark_path,
    other_claims,
    read_mark,
    write_claim,
    write_mark,
)


@contextlib.contextmanager
def claimed(output: str, options: PipelineOptions) -> Iterator[None]:
    """Within, no other command begins a job in a folder. To be left after ``begin``.

    Raises:
        UsageError: Another job writes to it, or is about to.
    """
    own = write_claim(output, _this_process())
    try:
        for path in other_claims(output, own):
            _check(output, path, options)
        check_not_running(output, options)
        yield
    finally:
        drop_claim(own)


def begin(output: str) -> None:
    """Says that a job of this process writes to a folder."""
    write_mark(output, _this_process())


def submitted(output: str, job: RemoteJob) -> None:
    """Says that a job that does not need this process writes to a folder."""
    write_mark(output, {"job": asdict(job)})


def made_into(output: str, template: str) -> None:
    """Says that a job of a template may write to a folder. That job removes the mark at its end."""
    write_mark(output, {"template": template})


def end(output: str) -> None:
    """Says that no job writes to a folder any more."""
    # Otherwise it is found out by the next job.
    with contextlib.suppress(Exception):
        drop_mark(output)


def check_not_running(output: str, options: PipelineOptions) -> None:
    """Checks that no job writes to a folder.

    Raises:
        UsageError: One does, or may do so.
    """
    _check(output, mark_path(output), options)


def _check(output: str, path: str, options: PipelineOptions) -> None:
    unknown = f"if you know that none does any more, delete {path}"
    try:
        mark = read_mark(path)
        reason = None if mark is None else _reason(mark, options, unknown)
    except (ValueError, KeyError, TypeError):
        reason = f"may be written to by a job, but {path} is damaged; {unknown}"
    except Exception as error:
        raise unusable(f"--output {output!r} cannot be used", error) from error
    if reason:
        raise UsageError(f"--output {output!r} {reason}")


def _reason(mark: dict, options: PipelineOptions, unknown: str) -> str | None:
    if "job" in mark:
        return _job(RemoteJob(**mark["job"]), options, unknown)
    if "template" in mark:
        return f"may be written to by a job of the template {mark['template']}; {unknown}"
    return _process(mark["process"], mark["host"], mark["begun"], unknown)


def _job(job: RemoteJob, options: PipelineOptions, unknown: str) -> str | None:
    try:
        state = state_of(job, options)
    except Exception as error:
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return f"may be written to by job {job.id}, whose state is not known: {line}; {unknown}"
    if has_ended(state):
        return None
    where = f"job {job.id} ({state}, {job.address})"
    return f"is being written to by {where}; wait for it, or {job.how_to_cancel}"


def _process(process: int, host: str, begun: int | None, unknown: str) -> str | None:
    if host != socket.gethostname():
        return f"may be written to by process {process} of {host}; {unknown}"
    # Process numbers are used again; the time of the beginning is another one then.
    if process == os.getpid() or _begun(process) is None or _begun(process) != begun:
        return None
    return f"is being written to by process {process} of this machine; wait for it, or end it"


def _this_process() -> dict:
    process = os.getpid()
    return {"host": socket.gethostname(), "process": process, "begun": _begun(process)}


def _begun(process: int) -> int | None:
    """When a process began, in ticks since the machine did; None if it is gone, or no /proc is."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    # A zombie writes nothing.
    return None if fields[0] == "Z" else int(fields[19])
