"""What ``run_pipeline.py`` does: parse, validate, run, report."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Sequence

import apache_beam as beam
from apache_beam.metrics import MetricsFilter
from apache_beam.options.pipeline_options import SetupOptions, StandardOptions
from apache_beam.runners.runner import PipelineState

from pipeline.command.dead_workers import watch_workers
from pipeline.command.interrupts import LastWords
from pipeline.command.last_lines import read_summary, report
from pipeline.command.logs import set_up_logging
from pipeline.command.options import AnnotateOptions, UsageError, parse
from pipeline.command.plan import describe
from pipeline.command.validate import validate
from pipeline.job_settings import Job
from pipeline.output_layout import OUTPUTS, RESULTS, TEMPORARY
from pipeline.storage.files import clear, lost_output
from pipeline.storage.journal_files import changes, start

DONE, BROKEN, USAGE, TOO_MANY_FAILURES = 0, 1, 2, 3


def annotate(argv: Sequence[str], last_words: LastWords | None = None) -> int:
    """Runs the command of these flags and returns its exit status; see the README.

    Args:
        argv: The flags.
        last_words: Where to say what becomes of the work if the command is interrupted.
    """
    set_up_logging()
    try:
        options = parse(argv)
        job = validate(options)
    except UsageError as error:
        print(f"run_pipeline.py: {error}", file=sys.stderr)
        return USAGE
    if options.plan:
        print(describe(job, options.overwrite))
        return DONE
    if last_words is not None:
        last_words.text = _how_to_go_on(options)
    started = time.monotonic()
    try:
        kept = run(job, options)
    except Exception as error:
        if not isinstance(error, JobEnded) and lost_output(error) is None:
            traceback.print_exc()
        print(f"run_pipeline.py: {_reason(error)}; {_how_to_go_on(options)}", file=sys.stderr)
        return BROKEN
    summary = read_summary(job)
    report(job, summary, time.monotonic() - started, kept)
    too_many = summary["failed"] > options.max_failure_rate * summary["images"]
    lost = summary["lost_shards"] and not options.allow_lost_shards
    return TOO_MANY_FAILURES if too_many or lost else DONE


class JobEnded(Exception):
    """The runner ended the job before it was done."""


def run(job: Job, options: AnnotateOptions) -> int:
    """Runs a job to its end.

    Args:
        job: What to do.
        options: The flags, Beam's among them.

    Returns:
        The number of images that an earlier run has finished.

    Raises:
        JobEnded: The runner cancelled the job, say.
        Exception: What broke the job.
    """
    # Imported here because the stages take longer to import than a flag to refuse.
    from pipeline.build import build
    from pipeline.stages.resume import KEPT

    watch_workers(
        lambda reason: f"run_pipeline.py: the job broke: {reason}; {_how_to_go_on(options)}"
    )
    standard = options.view_as(StandardOptions)
    if standard.runner in (None, "DirectRunner"):
        # DirectRunner would first try to download the binary of another runner.
        standard.runner = "FnApiRunner"
    options.view_as(SetupOptions).save_main_session = False

    clear(job.output, OUTPUTS if options.overwrite else (*RESULTS, TEMPORARY))
    for change in changes(job):
        print(f"{change}: what was finished is done again", file=sys.stderr)
    start(job)
    pipeline = beam.Pipeline(options=options)
    build(pipeline, job)
    result = pipeline.run()
    state = result.wait_until_finish()
    clear(job.output, [TEMPORARY])
    if state != PipelineState.DONE:
        raise JobEnded(f"the job ended as {state}")
    found = result.metrics().query(MetricsFilter().with_name(KEPT))["counters"]
    return sum(counter.result for counter in found)


def _how_to_go_on(options: AnnotateOptions) -> str:
    instead = " instead of --overwrite" if options.overwrite else ""
    return (
        f"what is finished is kept, and the same command with --resume{instead} goes on from there"
    )


def _reason(error: Exception) -> str:
    """One line that says why a job ended."""
    if isinstance(error, JobEnded):
        return str(error)
    lines = str(lost_output(error) or error).strip().splitlines() or [type(error).__name__]
    # A worker in another process sends its traceback as text; the last line is the error.
    return f"the job broke: {lines[-1 if lines[0].startswith('Traceback') else 0]}"
