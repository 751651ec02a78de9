"""Turns the flags into a job, or refuses them with what would do."""

from __future__ import annotations

import math
import os
import sys
from dataclasses import replace
from pathlib import Path

from apache_beam.io.filesystems import FileSystems

from model.presets import PRESETS
from pipeline.command.check_inputs import TRUTH_FLAGS, check_inputs, check_remote
from pipeline.command.check_model import as_its_card_says, check_model, check_network
from pipeline.command.choose_engine import decided_engine, decided_precision
from pipeline.command.options import AnnotateOptions, UsageError
from pipeline.command.output_folder import check_output, check_writable
from pipeline.command.runners import check_runner, processes, workers_elsewhere
from pipeline.command.running import check_not_running
from pipeline.command.workers import one_process_with_accelerator, take_hints
from pipeline.job_settings import Job
from pipeline.report.review import MOST
from pipeline.storage.files import absolute
from pipeline.storage.manifest import manifest_of
from pipeline.storage.truth_shards import shards_of_truth

SAMPLE = str(Path(__file__).parents[1] / "sample" / "*.tfrecord")
# Flags refused together with --masks. A value other than the default means that the user gave it.
ANNOTATION_FLAGS = (
    "input_format",
    "image_field",
    "truth_field",
    "name_field",
    "model",
    "image_size",
    "batch_size",
    "tta",
    "precision",
    "threshold",
    "require_gpu",
    "mask_format",
    "with_images",
    "cutouts",
    "overlays",
)


def validate(options: AnnotateOptions) -> Job:
    """Turns flags into a job.

    Raises:
        UsageError: A value cannot work; the message names it and what would do.
    """
    # S3, HDFS and Azure read Beam's flags. A pipeline would hand them over too late for the checks.
    FileSystems.set_options(options)
    _check_combination(options)
    _check_annotations(options)
    _check_values(options)
    _check_review(options)
    check_runner(options)
    workers = workers_elsewhere(options)
    if decision := one_process_with_accelerator(options):
        print(decision, file=sys.stderr)
    job = _job(options)
    if workers is not None:
        job = replace(job, hints=take_hints(options, job))
    if workers is not None and options.shared_disk:
        job = _from_anywhere(job)
    if job.masks is None:
        job = replace(job, model_content=check_model(job.model))
        job = as_its_card_says(job)
        job = replace(job, engine=decided_engine(options.engine, job, workers))
    if job.precision == "auto":
        job = replace(job, precision=decided_precision(workers, job.engine))
    check_inputs(job, options.overwrite)
    check_output(job, options.overwrite)
    if options.resume or options.overwrite:
        check_not_running(job.output, options)
    if workers is not None:
        check_remote(job, workers, options.shared_disk)
    if job.masks is None and job.model not in PRESETS:
        check_network(job)
    check_writable(job.output)
    return job


def _check_combination(options: AnnotateOptions) -> None:
    if options.masks is not None:
        if options.truth is None:
            raise UsageError("--masks needs --truth PATTERN, the ground truth to compare with")
        in_shards = [p for p in (options.masks, options.truth) if shards_of_truth(p) is not None]
        used = TRUTH_FLAGS if in_shards else ()
        given = [
            n for n in ANNOTATION_FLAGS if n not in used and getattr(options, n) != getattr(Job, n)
        ]
        if options.engine != "auto":
            given.append("engine")
        unused = [*(["input"] if options.input else []), *given]
        if unused:
            flags = ", ".join(f"--{name}" for name in unused)
            raise UsageError(f"--masks scores existing masks, without a network; leave out {flags}")
    if options.with_images and options.mask_format == "png":
        raise UsageError(
            "--with_images puts images into shards of masks; add --mask_format tfrecord, "
            "webdataset or parquet"
        )
    if options.resume and options.overwrite:
        raise UsageError("--resume keeps what is there and --overwrite removes it; give one")
    if options.verify and not options.resume:
        raise UsageError("--verify says how --resume compares; add --resume, or leave it out")


def _check_review(options: AnnotateOptions) -> None:
    if not 0 <= options.review <= MOST:
        raise UsageError(f"--review must be from 0 to {MOST}; got {options.review}")
    if options.review and not options.report:
        raise UsageError("--review is of review.csv, which --no_report leaves out; give one")
    if options.review and options.masks is not None:
        raise UsageError("--review draws masks over photos, which --masks does not name")


def _check_annotations(options: AnnotateOptions) -> None:
    formats = options.annotations or ()
    given = [
        n for n in ("category", "instances", "min_area") if getattr(options, n) != getattr(Job, n)
    ]
    if given and not formats:
        raise UsageError(f"--{given[0]} is of annotations; add --annotations, or leave it out")
    if options.min_area != Job.min_area and options.instances != "components":
        raise UsageError("--min_area is of parts; add --instances components, or leave it out")
    if options.min_area < 1:
        raise UsageError(f"--min_area must be at least 1; got {options.min_area}")
    if not options.category.strip() or not options.category.isprintable():
        raise UsageError(f"--category must be a name that can be printed; got {options.category!r}")
    if options.masks is not None and "labelstudio" in formats:
        raise UsageError(
            "--annotations labelstudio shows photos, which --masks does not name; annotate the "
            "photos with --input, or leave it out"
        )


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
        metrics_format=options.metrics_format,
        resume=options.resume,
        verify=options.verify,
        processes=processes(options),
        annotations=tuple(dict.fromkeys(options.annotations or ())),
        category=options.category,
        instances=options.instances,
        min_area=options.min_area,
        report=options.report,
        review=options.review,
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
