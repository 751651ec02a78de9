"""Turns the flags into a job, or refuses them with what would do."""

from __future__ import annotations

import difflib
import math
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from apache_beam.io.filesystems import FileSystems

from model.inference.tensorflow_notices import without_notices
from model.presets import MODEL_SUFFIX, PRESETS, WEIGHTS_SUFFIX
from pipeline.command.options import AnnotateOptions, UsageError, unusable
from pipeline.command.output_folder import check_apart, check_output, check_writable
from pipeline.command.runners import (
    DATAFLOW_WORKERS,
    check_runner,
    processes,
    workers_elsewhere,
)
from pipeline.command.running import check_not_running
from pipeline.command.workers import one_process_with_accelerator, take_hints
from pipeline.job_settings import Job
from pipeline.storage.files import absolute
from pipeline.storage.manifest import check_manifest, manifest_of
from pipeline.storage.model_file import content_of_model
from pipeline.storage.pair_names import (
    NAME,
    fault_of,
    joined_wildcards,
    truth_glob,
    unknown_names,
)
from pipeline.storage.patterns import is_shard, list_pattern, suffix_of

SAMPLE = str(Path(__file__).parents[1] / "sample" / "*.tfrecord")
# Files that are looked at to see whether a pattern can be used.
ENOUGH = 1000
# Flags refused together with --masks. A value other than the default means that the user gave it.
ANNOTATION_FLAGS = (
    "input_format",
    "model",
    "image_size",
    "batch_size",
    "tta",
    "precision",
    "threshold",
    "require_gpu",
)


def validate(options: AnnotateOptions) -> Job:
    """Turns flags into a job.

    Raises:
        UsageError: A value cannot work; the message names it and what would do.
    """
    # S3, HDFS and Azure read Beam's flags. A pipeline would hand them over too late for the checks.
    FileSystems.set_options(options)
    _check_combination(options)
    _check_values(options)
    check_runner(options)
    workers = workers_elsewhere(options)
    if decision := one_process_with_accelerator(options):
        print(decision, file=sys.stderr)
    job = _job(options)
    if workers is not None:
        job = replace(job, hints=take_hints(options, job))
    if job.precision == "auto":
        job = replace(job, precision=_decided_precision(workers))
    if workers is not None and options.shared_disk:
        job = _from_anywhere(job)
    if job.masks is None:
        job = replace(job, model_content=_check_model(job.model))
    _check_inputs(job, options.overwrite)
    check_output(job, options.overwrite)
    if options.resume or options.overwrite:
        check_not_running(job.output, options)
    if workers is not None:
        _check_remote(job, workers, options.shared_disk)
    if job.masks is None and job.model not in PRESETS:
        _check_network(job)
    check_writable(job.output)
    return job


def _check_combination(options: AnnotateOptions) -> None:
    if options.masks is not None:
        if options.truth is None:
            raise UsageError("--masks needs --truth PATTERN, the ground truth to compare with")
        given = [n for n in ANNOTATION_FLAGS if getattr(options, n) != getattr(Job, n)]
        unused = [*(["input"] if options.input else []), *given]
        if unused:
            flags = ", ".join(f"--{name}" for name in unused)
            raise UsageError(f"--masks scores existing masks, without a network; leave out {flags}")
    if options.resume and options.overwrite:
        raise UsageError("--resume keeps what is there and --overwrite removes it; give one")
    if options.verify and not options.resume:
        raise UsageError("--verify says how --resume compares; add --resume, or leave it out")


def _check_values(options: AnnotateOptions) -> None:
    if options.image_size < 32 or options.image_size % 32:
        raise UsageError(f"--image_size must be a multiple of 32; got {options.image_size}")
    if options.batch_size < 1:
        raise UsageError(f"--batch_size must be at least 1; got {options.batch_size}")
    if options.threshold is not None and not 0 < options.threshold <= 1:
        raise UsageError(f"--threshold must be in (0, 1]; got {options.threshold}")
    if not options.read_timeout > 0:
        raise UsageError(f"--read_timeout must be above 0; got {options.read_timeout}")
    if not 0 < options.max_megapixels < math.inf:
        raise UsageError(f"--max_megapixels must be above 0; got {options.max_megapixels}")
    if not 0 <= options.max_failure_rate <= 1:
        raise UsageError(f"--max_failure_rate must be in [0, 1]; got {options.max_failure_rate}")


def _job(options: AnnotateOptions) -> Job:
    inputs = () if options.masks is not None else options.input or [SAMPLE]
    named = {name: getattr(options, name) for name in ANNOTATION_FLAGS}
    return Job(
        output=_at_home(options.output),
        inputs=tuple(_at_home(pattern) for pattern in inputs),
        truth=_at_home(options.truth),
        masks=_at_home(options.masks),
        read_timeout=options.read_timeout,
        max_megapixels=options.max_megapixels,
        resume=options.resume,
        verify=options.verify,
        processes=processes(options),
        **(named | {"model": _at_home(options.model)}),
    )


def _from_anywhere(job: Job) -> Job:
    """A job whose local paths do not depend on the folder that a process is in."""

    def full(path: str | None) -> str | None:
        return path if path is None or path in PRESETS else absolute(path)

    return replace(
        job,
        output=absolute(job.output),
        inputs=tuple(map(_absolute_input, job.inputs)),
        truth=full(job.truth),
        masks=full(job.masks),
        model=full(job.model),
    )


def _absolute_input(pattern: str) -> str:
    manifest = manifest_of(pattern)
    return absolute(pattern) if manifest is None else f"@{absolute(manifest)}"


def _at_home(path: str | None) -> str | None:
    """A path with the user's home for ``~``: shells do not expand it behind a ``=``."""
    if path is None:
        return None
    at = "@" if manifest_of(path) else ""
    return at + os.path.expanduser(path[len(at) :])


def _decided_precision(workers: str | None) -> str:
    """What ``auto`` stands for, which is decided once: a map depends on it, and a resume asks."""
    if workers is not None:
        raise UsageError(
            f"--precision auto would be decided by this machine, and not by those of {workers}; "
            "give bfloat16 if their GPUs (Ampere and later, such as L4) or processors (Sapphire "
            "Rapids, Zen 4 and later) compute in it, else float32"
        )
    # Imported here because nothing else needs TensorFlow before the job starts.
    with without_notices():
        from model.precision import dtype_of

        return dtype_of("auto")


def _check_model(model: str) -> str:
    """The digest of the model's file, see ``content_of_model``."""
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
        raise unusable(f"--model {model!r} cannot be read", error) from error


def _check_network(job: Job) -> None:
    """Loads a file and runs it once: nothing else tells whether it is a network, and of what."""
    # Imported here because with a preset the command needs no TensorFlow yet.
    from pipeline.stages.segment import network_of

    try:
        # Whether workers have a GPU is theirs to say.
        network_of(replace(job, require_gpu=False))().probe()
    except (ValueError, OSError) as error:
        raise UsageError(f"--model {job.model!r} cannot be used: {error}") from error


def _check_inputs(job: Job, overwrite: bool) -> None:
    """Checks that every pattern matches, and that no input is an output of the job."""
    for flag, patterns, kind in (
        ("--input", job.inputs, job.input_format),
        ("--masks", [job.masks], "images"),
        ("--truth", [job.truth], "images"),
    ):
        for pattern in filter(None, patterns):
            paths = _check_pattern(flag, pattern, kind)
            if flag != "--truth" and not all(is_shard(path, kind) for path in paths):
                _check_wildcards(flag, pattern, job.truth or "")
            if overwrite:
                check_apart(flag, paths, job.output, "--overwrite removes")
            if job.resume:
                check_apart(flag, paths, job.output, "the run that --resume goes on with wrote")


def _check_wildcards(flag: str, pattern: str, truth: str) -> None:
    """Checks that each wildcard before a ``{name}`` has one to be joined with."""
    wanted = joined_wildcards(truth) if NAME in truth else 0
    if joined_wildcards(pattern) < wanted:
        raise UsageError(
            f"--truth {truth!r} has {wanted} wildcards before {NAME}, each for what the same one "
            f"of {flag} matched, but {flag} {pattern!r} has {joined_wildcards(pattern)}"
        )


def _check_pattern(flag: str, pattern: str, input_format: str) -> list[str]:
    is_truth = flag == "--truth"
    if is_truth and (fault := fault_of(pattern)):
        raise UsageError(f"{flag} {pattern!r}: {fault}")
    glob = truth_glob(pattern) if is_truth else pattern
    try:
        manifest = manifest_of(pattern) if flag == "--input" else None
        if manifest is not None:
            check_manifest(manifest)
            return []
        # Workers list all.
        listing = list_pattern(glob, input_format, limit=ENOUGH)
        if not listing.files:
            listing = list_pattern(glob, input_format)
    except Exception as error:
        raise unusable(f"{flag} {pattern!r} cannot be read", error) from error
    if not listing.files and listing.passed_over:
        names = ", ".join(sorted({suffix_of(path) for path in listing.passed_over}))
        raise UsageError(
            f"{flag} {pattern!r} holds {len(listing.passed_over)} files, but none named like an "
            f"image or a shard ({names}); a glob, such as {pattern.rstrip('/')}/*, takes them all"
        )
    if not listing.files:
        unknown, hint = unknown_names(pattern), ""
        if unknown:
            hint = f"; {', '.join(unknown)} stands for nothing but itself"
            hint += f", {NAME} for the name of an image" if is_truth else ""
        elif NAME in pattern and not is_truth:
            hint = f"; {NAME} is known in --truth only"
        raise UsageError(f"{flag} {pattern!r} matches no file{hint}")
    return [file.path for file in listing.files]


def _check_remote(job: Job, workers: str, shared_disk: bool) -> None:
    """Checks that workers on other machines can see every path."""
    hint = "name a bucket, such as gs://bucket/folder"
    if workers != DATAFLOW_WORKERS:
        if shared_disk:
            return
        hint += ", or add --shared_disk if every worker sees this path"
    values: dict[str, Sequence[str | None]] = {
        "--output": [job.output],
        "--input": [manifest_of(pattern) or pattern for pattern in job.inputs],
        "--masks": [job.masks],
        "--truth": [job.truth],
        "--model": [job.model],
    }
    for flag, paths in values.items():
        for path in filter(None, paths):
            if FileSystems.get_scheme(path) is None and path not in PRESETS:
                raise UsageError(
                    f"{flag} {path!r} is on this machine, where {workers} may not see it; {hint}"
                )
