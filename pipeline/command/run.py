"""What ``run_pipeline.py`` does: parse, validate, run, report."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Sequence

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.metrics import MetricsFilter
from apache_beam.options.pipeline_options import SetupOptions, StandardOptions
from apache_beam.runners.runner import PipelineResult, PipelineState

from pipeline.command import endings
from pipeline.command.dead_workers import watch_workers
from pipeline.command.interrupts import LastWords
from pipeline.command.last_lines import read_summary, report
from pipeline.command.logs import set_up_logging
from pipeline.command.options import AnnotateOptions, StorageRefuses, UsageError, parse
from pipeline.command.output_folder import check_output
from pipeline.command.plan import describe
from pipeline.command.program import PROGRAM
from pipeline.command.progress import Progress
from pipeline.command.remote_jobs import RemoteJob, is_over, remote_job, service_of
from pipeline.command.runners import (
    does_not_wait,
    is_dry_run,
    only_built,
    runner_name,
    workers_elsewhere,
)
from pipeline.command.running import begin, claimed, end, made_into, submitted
from pipeline.command.validate import validate
from pipeline.job_settings import Job
from pipeline.output_layout import OUTPUTS, RESULTS, SUMMARY, TEMPORARY
from pipeline.storage.errors import in_words
from pipeline.storage.files import clear
from pipeline.storage.journal_files import changes, start
from pipeline.storage.running_mark import MARK

DONE, BROKEN, USAGE, TOO_MANY_FAILURES = 0, 1, 2, 3


def annotate(
    argv: Sequence[str],
    last_words: LastWords | None = None,
    progress: Progress | None = None,
) -> int:
    """Runs the command of these flags and returns its exit status; see the README.

    Args:
        argv: The flags.
        last_words: Where to say what becomes of the work if the command is interrupted.
        progress: Where to say how far it is; nowhere by default.
    """
    set_up_logging()
    progress = progress or Progress(quiet=True)
    try:
        options = parse(argv)
        progress.doing("checking flags and files")
        job = validate(options)
    except UsageError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return BROKEN if isinstance(error, StorageRefuses) else USAGE
    if options.plan:
        print(_plan(job, options))
        return DONE
    words = last_words or LastWords("")
    words.text = endings.how_to_go_on(options)
    started = time.monotonic()
    try:
        try:
            result = run(job, options, words, progress)
        finally:
            progress.close()
    except UsageError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return USAGE
    except Exception as error:
        if not endings.is_understood(error):
            traceback.print_exc()
        print(f"{PROGRAM}: {endings.reason_of(error)}; {words.text}", file=sys.stderr)
        return BROKEN
    if result is None:
        return DONE
    try:
        summary = read_summary(job)
    except Exception as error:
        end = f"the job is done, but {SUMMARY} in {job.output} cannot be read: {in_words(error)}"
        print(f"{PROGRAM}: {end}", file=sys.stderr)
        return BROKEN
    report(job, summary, time.monotonic() - started, _kept(job, result))
    too_many = summary["failed"] > options.max_failure_rate * summary["images"]
    lost = summary["lost_shards"] and not options.allow_lost_shards
    return TOO_MANY_FAILURES if too_many or lost else DONE


def _plan(job: Job, options: AnnotateOptions) -> str:
    # Imported here because only a plan tries images in this process.
    from pipeline.command.estimate import estimate

    workers = workers_elsewhere(options)
    return describe(job, options.overwrite, lambda files: estimate(job, files, workers))


def run(
    job: Job, options: AnnotateOptions, words: LastWords, progress: Progress
) -> PipelineResult | None:
    """Runs a job to its end, or as far as the command goes with it.

    Args:
        job: What to do.
        options: The flags, Beam's among them.
        words: Where to say what becomes of the work if the command ends early.
        progress: Where to say how far a job of this machine is.

    Returns:
        What Beam knows of the job, which is done; None if there is no summary yet, as nobody waits
        for the job, or it is not run now.

    Raises:
        UsageError: Beam refuses the flags, or another job has begun meanwhile; nothing was done.
        JobEnded: The runner cancelled the job, say.
        OutOfTouch: The job may go on.
        Exception: What broke the job.
    """
    pipeline = _pipeline(options)
    if is_dry_run(options):
        _build(pipeline, job)
        pipeline.run()
        print("the job was built; as --dry_run asks, it was not submitted, and nothing was written")
        return None
    _watch(options, progress)
    _prepare(job, options)
    goes_on = False
    try:
        _load_ahead(job, options)
        _build(pipeline, job)
        built, service = only_built(options), service_of(options)  # Beam changes the flags.
        if built is not None:
            made_into(job.output, built)
        result = pipeline.run()
        if built is not None:
            result.wait_until_finish()
            goes_on = True
            print(f"the job is in {built} and was not run; when it is, it writes to {job.output}")
            return None
        remote = service and remote_job(service, result, options)
        goes_on = remote is not None
        if remote and not _wants_to_wait(remote, job, options, words):
            return None
        _wait(result, remote, options)
        goes_on = False
        _tidy(job)
    except endings.JobEnded:
        goes_on = False
        raise
    finally:
        if not goes_on:
            end(job.output)
            words.text = endings.how_to_go_on(options)
    return result


def _build(pipeline: beam.Pipeline, job: Job) -> None:
    # Imported here because the stages take longer to import than a flag to refuse.
    from pipeline.build import build

    build(pipeline, job)


def _load_ahead(job: Job, options: AnnotateOptions) -> None:
    """Begins to load the network, if this process needs it; a resume may find that all is done."""
    from pipeline.stages.load_network import load_ahead

    elsewhere = workers_elsewhere(options) or only_built(options) or job.processes != 1
    if not elsewhere and job.masks is None and not job.resume:
        load_ahead(job)


def _watch(options: AnnotateOptions, progress: Progress) -> None:
    """Watches workers and progress; where workers are elsewhere, others do."""

    def last_words(reason: str) -> str:
        progress.close()
        return f"{PROGRAM}: the job broke: {reason}; {endings.how_to_go_on(options)}"

    watch_workers(last_words)
    if workers_elsewhere(options) or only_built(options):
        progress.close()
    else:
        progress.watch()


def _prepare(job: Job, options: AnnotateOptions) -> None:
    """Takes the output folder for the job.

    Raises:
        UsageError: Another job has taken it since the flags were checked.
        Exception: It cannot be changed.
    """
    with claimed(job.output, options):
        check_output(job, options.overwrite)
        # Claims are in the folder of temporary files.
        names = OUTPUTS if options.overwrite else RESULTS
        clear(job.output, [name for name in names if name != TEMPORARY])
        for change in changes(job):
            print(f"{change}: what was finished is done again", file=sys.stderr)
        start(job)
        begin(job.output)
    clear(job.output, [TEMPORARY])


def _tidy(job: Job) -> None:
    """Removes temporary files of a job that is done, for which they do not matter any more."""
    try:
        clear(job.output, [TEMPORARY])
    except Exception as error:
        print(f"{TEMPORARY} could not be removed: {in_words(error)}", file=sys.stderr)


def _kept(job: Job, result: PipelineResult) -> int | None:
    """How many images of a job that is done were finished by an earlier run; None if none tells."""
    from pipeline.stages.resume import KEPT

    if not job.resume:
        return 0
    try:
        found = result.metrics().query(MetricsFilter().with_name(KEPT))["counters"]
    except Exception as error:
        print(
            f"the job is done, but its counters could not be read: {in_words(error)}",
            file=sys.stderr,
        )
        return None
    # A job service says None for 0.
    return sum(counter.result or 0 for counter in found)


def _pipeline(options: AnnotateOptions) -> beam.Pipeline:
    """An empty pipeline, whose flags Beam has checked."""
    if runner_name(options) == "directrunner":
        # DirectRunner would first try to download the binary of another runner.
        options.view_as(StandardOptions).runner = "FnApiRunner"
    options.view_as(SetupOptions).save_main_session = False
    try:
        return beam.Pipeline(options=options)
    except (ValueError, ImportError) as error:
        raise UsageError(" ".join(str(error).split())) from error


def _wants_to_wait(remote: RemoteJob, job: Job, options: AnnotateOptions, words: LastWords) -> bool:
    """Says that a job is submitted, and whether to wait for it.

    Raises:
        OutOfTouch: It cannot be said in the output folder.
    """
    words.text = (
        f"{remote.outlook}: {remote.address}; it is done when "
        f"{FileSystems.join(job.output, SUMMARY)} is there; {remote.how_to_cancel}; if it ends "
        f"before, {endings.how_to_go_on(options)}"
    )
    try:
        submitted(job.output, remote)
    except Exception as error:
        raise endings.OutOfTouch(
            f"job {remote.id} was submitted, but {MARK} in {job.output} could not be written, so "
            f"nothing bars a second job: {in_words(error)}"
        ) from error
    if does_not_wait(options):
        print(words.text)
        return False
    print(f"job {remote.id} was submitted: {remote.address}", file=sys.stderr)
    return True


def _wait(result: PipelineResult, remote: RemoteJob | None, options: AnnotateOptions) -> None:
    """Waits until a job is done.

    Raises:
        JobEnded: It ended otherwise.
        OutOfTouch: It may go on.
        Exception: What broke a job of this process.
    """
    try:
        state = result.wait_until_finish()
    except Exception as error:
        if remote is None:
            raise
        if not is_over(remote, result, options):
            raise endings.OutOfTouch(
                f"lost touch with the job: {endings.last_line(error)}"
            ) from error
        state = result.state
        if state == PipelineState.FAILED:
            raise endings.JobEnded(endings.reason_of(error)) from error
    if state != PipelineState.DONE:
        raise endings.JobEnded(f"the job ended as {state}")
