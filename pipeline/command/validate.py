"""What is checked before a job starts."""

from __future__ import annotations

import contextlib
import difflib
import os
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import StandardOptions

from model.presets import MODEL_SUFFIX, PRESETS, WEIGHTS_SUFFIX
from pipeline.command.options import AnnotateOptions, UsageError
from pipeline.job_settings import JOURNAL, MASKS, OUTPUTS, RESULTS, TEMPORARY, Job
from pipeline.stages.journal import HEAD, read_head
from pipeline.storage.files import absolute, delete, literal, write_file
from pipeline.storage.model_file import content_of_model
from pipeline.storage.patterns import find_files

SAMPLE = str(Path(__file__).parents[1] / "sample")
# Of no use beside --masks; the job has their defaults, so that a flag that was given is known.
ANNOTATION_FLAGS = (
    "input_format",
    "model",
    "image_size",
    "batch_size",
    "tta",
    "precision",
    "threshold",
)


def check(options: AnnotateOptions) -> Job:
    """Turns flags into a job.

    Raises:
        UsageError: A value cannot work; the message names it and what would do.
    """
    # S3, HDFS and Azure need Beam's flags to be looked at; a pipeline hands them over too late.
    FileSystems.set_options(options)
    given = {
        name: value for name in ANNOTATION_FLAGS if (value := getattr(options, name)) is not None
    }
    if options.masks is not None:
        if options.truth is None:
            raise UsageError("--masks needs --truth PATTERN, the ground truth to compare with")
        unused = [*(["input"] if options.input else []), *given]
        if unused:
            flags = ", ".join(f"--{name}" for name in unused)
            raise UsageError(f"--masks scores existing masks, without a network; leave out {flags}")
    if options.resume and options.overwrite:
        raise UsageError("--resume keeps what is there and --overwrite removes it; give one")
    job = Job(
        output=options.output,
        read_timeout=options.read_timeout,
        resume=options.resume,
        inputs=() if options.masks is not None else tuple(options.input or [SAMPLE]),
        truth=options.truth,
        masks=options.masks,
        **given,
    )
    if job.image_size < 32 or job.image_size % 32:
        raise UsageError(f"--image_size must be a multiple of 32; got {job.image_size}")
    if job.batch_size < 1:
        raise UsageError(f"--batch_size must be at least 1; got {job.batch_size}")
    if job.threshold is not None and not 0 < job.threshold <= 1:
        raise UsageError(f"--threshold must be in (0, 1]; got {job.threshold}")
    if not job.read_timeout > 0:
        raise UsageError(f"--read_timeout must be above 0; got {job.read_timeout}")
    if not 0 <= options.max_failure_rate <= 1:
        raise UsageError(f"--max_failure_rate must be in [0, 1]; got {options.max_failure_rate}")
    if job.masks is None:
        job = replace(job, model_content=_check_model(job.model))
    for flag, patterns, kind in (
        ("--input", job.inputs, job.input_format),
        ("--masks", [job.masks], "images"),
        ("--truth", [job.truth], "images"),
    ):
        for pattern in filter(None, patterns):
            read = _check_pattern(flag, pattern, kind)
            if options.overwrite:
                _check_apart(flag, read, job.output, "--overwrite removes")
            if options.resume:
                _check_apart(flag, read, job.output, "the run that --resume goes on with wrote")
    _check_output(job, options.overwrite)
    if options.view_as(StandardOptions).runner == "DataflowRunner":
        _check_remote(
            {
                "--output": [job.output],
                "--input": job.inputs,
                "--masks": [job.masks] if job.masks else [],
                "--truth": [job.truth] if job.truth else [],
                "--model": [job.model],
            }
        )
    if job.masks is None and job.model not in PRESETS:
        _check_network(job)
    _check_writable(job.output)
    return job


def _check_model(model: str) -> str:
    """What the model holds, see ``content_of_model``."""
    with_weights = [name for name, preset in PRESETS.items() if preset.weights]
    if model in PRESETS and model not in with_weights:
        raise UsageError(f"preset {model!r} has no weights; there are {', '.join(with_weights)}")
    if model not in PRESETS and not model.endswith((MODEL_SUFFIX, WEIGHTS_SUFFIX)):
        near = difflib.get_close_matches(model, with_weights, n=1)
        hint = f"; did you mean {near[0]}?" if near else f"; presets are {', '.join(with_weights)}"
        raise UsageError(
            f"--model {model!r} is neither a preset nor a {MODEL_SUFFIX} or {WEIGHTS_SUFFIX} "
            f"file{hint}"
        )
    try:
        if model not in PRESETS and not FileSystems.exists(model):
            raise UsageError(f"--model {model!r}: there is no such file")
        return content_of_model(model)
    except UsageError:
        raise
    except Exception as error:
        raise UsageError(f"--model {model!r} cannot be read: {error}") from error


def _check_network(job: Job) -> None:
    """Loads a file and runs it once: nothing else tells whether it is a network, and of what."""
    # Here and not above: with a preset, the command needs neither TensorFlow nor the stages yet.
    from pipeline.stages.segment import network_of

    try:
        network_of(job)().probe()
    except (ValueError, OSError) as error:
        raise UsageError(f"--model {job.model!r} cannot be used: {error}") from error


def _check_remote(values: dict[str, Sequence[str]]) -> None:
    for flag, paths in values.items():
        for path in paths:
            if FileSystems.get_scheme(path) is None and path not in PRESETS:
                raise UsageError(
                    f"{flag} {path!r} is on this machine, where Dataflow's workers cannot see it; "
                    "name a bucket, such as gs://bucket/folder"
                )


def _check_pattern(flag: str, pattern: str, input_format: str) -> list[str]:
    try:
        found = [path for path, _ in find_files(pattern, input_format)]
    except Exception as error:
        raise UsageError(f"{flag} {pattern!r} cannot be read: {error}") from error
    if not found:
        raise UsageError(f"{flag} {pattern!r} matches no file")
    return found


def _check_apart(flag: str, paths: list[str], output: str, what: str) -> None:
    ours = tuple(absolute(FileSystems.join(output, name)) + "/" for name in OUTPUTS)
    for path in paths:
        if absolute(path).startswith(ours):
            raise UsageError(f"{flag} reads {path!r}, which {what}")


def _check_output(job: Job, overwrite: bool) -> None:
    output = job.output
    if os.path.isfile(output):
        raise UsageError(f"--output {output!r} is a file; name a folder")
    try:
        everything = FileSystems.join(literal(output), "**")
        # What a run has left that was killed before it began.
        begun = absolute(FileSystems.join(output, TEMPORARY)) + "/"
        # One file tells as a rule, without a list of all masks.
        for limits in ([1], None):
            found = FileSystems.match([everything], limits=limits)[0].metadata_list
            taken = any(not absolute(file.path).startswith(begun) for file in found)
            if taken or not found:
                break
        journal = read_head(output) if taken and job.resume else None
        foreign = _foreign(output) if taken and overwrite else None
    except Exception as error:
        raise UsageError(f"--output {output!r} cannot be used: {error}") from error
    if taken and job.resume and journal is None:
        raise UsageError(
            f"--output {output!r} holds no journal of an earlier run that could be resumed; name "
            "another folder"
        )
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


def _foreign(output: str) -> str | None:
    """What there is of the names that a job writes, where no job has begun a journal."""
    if FileSystems.exists(FileSystems.join(output, JOURNAL, HEAD)):
        return None
    for name in (MASKS, *RESULTS):
        path = literal(FileSystems.join(output, name))
        if any(found.metadata_list for found in FileSystems.match([path, f"{path}/**"], [1, 1])):
            return name
    return None


def _check_writable(output: str) -> None:
    """Writes a file there and takes it away again: nothing else tells."""
    probe = f"{TEMPORARY}/probe-{uuid.uuid4().hex}"
    folder = Path(absolute(FileSystems.join(output, TEMPORARY)))
    is_local = FileSystems.get_scheme(output) is None
    new = [path for path in (folder, *folder.parents) if is_local and not path.exists()]
    try:
        write_file(output, probe, b"not empty, as S3 would get no file")
        delete([FileSystems.join(output, probe)])
    except Exception as error:
        raise UsageError(f"--output {output!r} cannot be written to: {error}") from error
    finally:
        for path in new:
            with contextlib.suppress(OSError):
                path.rmdir()
