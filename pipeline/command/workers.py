"""What the workers of a job are given: memory, accelerators and processes on each machine."""

from __future__ import annotations

from apache_beam.options.pipeline_options import (
    DebugOptions,
    GoogleCloudOptions,
    PipelineOptions,
    StandardOptions,
)
from apache_beam.transforms.resources import resource_hints_from_options

from pipeline.command.options import UsageError
from pipeline.command.runners import DATAFLOW, runner_name
from pipeline.images.open_safely import MAX_MEMORY, MAX_PIXELS
from pipeline.job_settings import Job
from pipeline.storage.mask_parts import PART_BYTES

# Measured, in bytes: a process with TensorFlow, the bundled network and small photos; what a pixel
# takes while the largest image is decoded; and what one takes while it is scored.
_PROCESS = 1 << 30
_DECODED_PIXEL = 16
_SCORED_PIXEL = 40
# Likewise while its cutout is made, as WebP; as PNG 10.
_CUT_PIXEL = 20
# Likewise while its annotations are made.
_MARKED_PIXEL = 32
_ONE, _MANY = "no_use_multiple_sdk_containers", "use_multiple_sdk_containers"


def one_process_with_accelerator(options: PipelineOptions) -> str | None:
    """Has Dataflow run one process on a machine with an accelerator, unless the flags say more.

    Processes of one machine would share its GPU, each with a network and memory of its own.

    Returns:
        What was decided, for people; None if nothing was.
    """
    experiments = options.view_as(DebugOptions).experiments or []
    if runner_name(options) != DATAFLOW or {_ONE, _MANY} & {*experiments}:
        return None
    hints = options.view_as(StandardOptions).resource_hints
    if not _every_worker_has_one(options) and not any(
        hint.startswith("accelerator=") for hint in hints
    ):
        return None
    options.view_as(DebugOptions).add_experiment(_ONE)
    return (
        f"workers have an accelerator, so each machine runs one process (--experiments={_ONE}); "
        f"--experiments={_MANY} runs one on each core"
    )


def take_hints(options: PipelineOptions, job: Job) -> tuple[str, ...]:
    """Takes the resource hints from Beam's flags, for the workers that see images.

    Beam would give them to every step, a GPU to those that list files, too. Dataflow takes either
    hints or an accelerator for every worker: with the latter, no hint is added.

    Args:
        options: Beam's flags, which have no hints afterwards.
        job: The job, for the memory that it needs; a hint ``min_ram`` replaces that.

    Raises:
        UsageError: A hint is none.
    """
    standard = options.view_as(StandardOptions)
    try:
        resource_hints_from_options(options)
    except (ValueError, TypeError) as error:
        raise UsageError(f"--resource_hint: {error}") from error
    given, standard.resource_hints = list(standard.resource_hints), []
    has_memory = any(hint.startswith(("min_ram=", "minRam=")) for hint in given)
    if not has_memory and not _every_worker_has_one(options):
        given.append(f"min_ram={needed_memory(job) >> 20}MiB")
    return tuple(given)


def _every_worker_has_one(options: PipelineOptions) -> bool:
    """Whether the service is asked for an accelerator in every worker."""
    asked = [
        *(options.view_as(GoogleCloudOptions).dataflow_service_options or []),
        *(options.view_as(DebugOptions).experiments or []),
    ]
    return any(one.startswith("worker_accelerator") for one in asked)


def needed_memory(job: Job) -> int:
    """Bytes of memory of a machine on which each process may meet the largest image.

    Truths of shards are not known before they are read and not counted, nor are encoded photos that
    wait to be written again, some five batches of them. Where a machine runs a
    process on each core, their number is not known either, and one is counted.
    """
    decoded = min(MAX_MEMORY, _DECODED_PIXEL * job.max_pixels)
    decoded = max(decoded, MAX_MEMORY * job.max_pixels // MAX_PIXELS)
    scored = 0 if job.truth is None else _SCORED_PIXEL * job.max_pixels
    cut = _CUT_PIXEL * job.max_pixels if job.cutouts else 0
    marked = _MARKED_PIXEL * job.max_pixels if job.annotations else 0
    # One part is gathered while another is written, and copied for it.
    parts = 3 * PART_BYTES if job.in_shards else 0
    return max(1, job.processes) * (_PROCESS + parts + max(decoded, scored, cut, marked))
