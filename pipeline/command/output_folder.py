"""What is checked of the output folder before a job starts. Nothing in it is changed."""

from __future__ import annotations

import contextlib
import os
import uuid
from pathlib import Path

from apache_beam.io.filesystems import FileSystems

from pipeline.command.options import UsageError, unusable
from pipeline.job_settings import Job
from pipeline.output_layout import (
    CUTOUTS,
    JOURNAL,
    JOURNAL_HEAD,
    MASKS,
    OUTPUTS,
    OVERLAYS,
    RESULTS,
    TEMPORARY,
)
from pipeline.storage.files import absolute, delete, literal, write_file
from pipeline.storage.journal_files import FORMAT, layout, read_head


def check_output(job: Job, overwrite: bool) -> None:
    """Checks that the folder may be used as the flags say.

    Raises:
        UsageError: It is a file, or holds what the flags give no leave to keep or to remove.
    """
    output = job.output
    if os.path.isfile(output):
        raise UsageError(f"--output {output!r} is a file; name a folder")
    try:
        taken = _is_taken(output)
        journal = read_head(output) if taken and job.resume else None
        foreign = _foreign(output) if taken and overwrite else None
    except Exception as error:
        raise unusable(f"--output {output!r} cannot be used", error) from error
    if taken and job.resume and journal is None:
        raise UsageError(
            f"--output {output!r} holds no journal of an earlier run that could be resumed; name "
            "another folder"
        )
    if journal is not None and journal.get("format") != FORMAT:
        raise UsageError(
            f"--output {output!r} holds a journal of format {journal.get('format')}, of another "
            f"release; this one goes on with format {FORMAT}. Use that release, name another "
            "folder, or give --overwrite to begin anew"
        )
    if journal is not None and not job.masks:
        _check_layout(job, journal)
    if foreign is not None:
        raise UsageError(
            f"--output {output!r} holds {foreign}, but no journal of an earlier job, so "
            "--overwrite might remove what no job made; name another folder, or remove it yourself"
        )
    if taken and not overwrite and not job.resume:
        raise UsageError(
            f"--output {output!r} is not empty; name another folder, or add --resume to go on with "
            "what an earlier run left there, or --overwrite to replace it"
        )


def _check_layout(job: Job, journal: dict) -> None:
    """Checks that the job writes the same files as the one that it goes on with."""
    for name, value in layout(job).items():
        before = journal.get(name, value)
        if before != value:
            raise UsageError(
                f"--output {job.output!r} was begun with {_flag(name, before)}, which --resume "
                f"cannot go on with {_flag(name, value)}; give the same, name another folder, or "
                "give --overwrite to begin anew"
            )


def _flag(name: str, value: str | bool) -> str:
    """A flag as it is given, or that it is not."""
    if not value:
        return f"no --{name}"
    return f"--{name}" if value is True else f"--{name} {value}"


def check_apart(flag: str, paths: list[str], output: str, what: str) -> None:
    """Checks that no input is an output of the job.

    Args:
        flag: The flag that names the inputs.
        paths: The inputs.
        output: The output folder.
        what: What the job does with its outputs, for the message.

    Raises:
        UsageError: An input is one.
    """
    ours = [absolute(FileSystems.join(output, name)) for name in OUTPUTS]
    below = tuple(f"{path}/" for path in ours)
    for path in paths:
        if absolute(path) in ours or absolute(path).startswith(below):
            raise UsageError(f"{flag} reads {path!r}, which {what}")


def check_writable(output: str) -> None:
    """Writes a file into the folder and deletes it again: nothing else tells.

    Raises:
        UsageError: The folder cannot be written to.
    """
    probe = f"{TEMPORARY}/probe-{uuid.uuid4().hex}"
    folder = Path(absolute(FileSystems.join(output, TEMPORARY)))
    is_local = FileSystems.get_scheme(output) is None
    new = [path for path in (folder, *folder.parents) if is_local and not path.exists()]
    try:
        write_file(output, probe, b"")
        delete([FileSystems.join(output, probe)])
    except Exception as error:
        raise unusable(f"--output {output!r} cannot be written to", error) from error
    finally:
        for path in new:
            with contextlib.suppress(OSError):
                path.rmdir()


def _is_taken(output: str) -> bool:
    """Whether the folder holds more than the temporary files of a run that was killed early."""
    everything = FileSystems.join(literal(output), "**")
    temporary = absolute(FileSystems.join(output, TEMPORARY)) + "/"
    # The first file tells, unless it is a temporary one. Then one more than those tells.
    limit = 1
    while True:
        found = FileSystems.match([everything], [limit])[0].metadata_list
        if any(not absolute(file.path).startswith(temporary) for file in found):
            return True
        if len(found) < limit:
            return False
        limit *= 100


def _foreign(output: str) -> str | None:
    """What there is under the names that a job writes, although no job has begun a journal."""
    if FileSystems.exists(FileSystems.join(output, JOURNAL, JOURNAL_HEAD)):
        return None
    for name in (MASKS, CUTOUTS, OVERLAYS, *RESULTS):
        path = literal(FileSystems.join(output, name))
        if any(found.metadata_list for found in FileSystems.match([path, f"{path}/**"], [1, 1])):
            return name
    return None
