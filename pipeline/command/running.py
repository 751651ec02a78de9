"""``journal/running.json``: which job writes to an output folder, so that no second one joins it.

It names the process that prepares the job, then the job itself once a service has it. It is removed
when the job has ended. After a crash it stays, and the process or the service is asked.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from dataclasses import asdict
from pathlib import Path

from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from pipeline.command.options import UsageError, unusable
from pipeline.command.remote_jobs import RemoteJob, has_ended, state_of
from pipeline.output_layout import JOURNAL
from pipeline.storage.files import delete, read_file, write_file

RUNNING = "running.json"


def begin(output: str) -> None:
    """Says that a job of this process writes to a folder."""
    process = os.getpid()
    _write(output, {"host": socket.gethostname(), "process": process, "begun": _begun(process)})


def submitted(output: str, job: RemoteJob) -> None:
    """Says that a job that does not need this process writes to a folder."""
    _write(output, {"job": asdict(job)})


def end(output: str) -> None:
    """Says that no job writes to a folder any more."""
    # Otherwise it is found out by the next job.
    with contextlib.suppress(Exception):
        delete([_path(output)])


def check_not_running(output: str, options: PipelineOptions) -> None:
    """Checks that no job writes to a folder.

    Raises:
        UsageError: One does, or may do so.
    """
    path = _path(output)
    try:
        text = read_file(path) if FileSystems.exists(path) else None
    except Exception as error:
        raise unusable(f"--output {output!r} cannot be used", error) from error
    if text is None:
        return
    unknown = f"if you know that none does any more, delete {path}"
    try:
        mark = json.loads(text)
        reason = (
            _job(RemoteJob(**mark["job"]), options, unknown)
            if "job" in mark
            else _process(mark["process"], mark["host"], mark["begun"], unknown)
        )
    except (ValueError, KeyError, TypeError):
        reason = f"may be written to by a job, but {path} is damaged; {unknown}"
    if reason is not None:
        raise UsageError(f"--output {output!r} {reason}")


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


def _begun(process: int) -> int | None:
    """When a process began, in ticks since the machine did; None if it is gone, or no /proc is."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    # A zombie writes nothing.
    return None if fields[0] == "Z" else int(fields[19])


def _path(output: str) -> str:
    return FileSystems.join(output, JOURNAL, RUNNING)


def _write(output: str, mark: dict) -> None:
    write_file(output, f"{JOURNAL}/{RUNNING}", json.dumps(mark).encode() + b"\n")
