"""What `run_pipeline.py` does: checks the flags, runs the job and says how it ended."""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from collections.abc import Sequence

# Beam's notice that its optional parts for Google Cloud are not installed.
logging.disable(logging.WARNING)

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import SetupOptions, StandardOptions
from apache_beam.runners.runner import PipelineState

from pipeline.command.dead_workers import watch_workers
from pipeline.command.options import UsageError, parse
from pipeline.command.plan import describe
from pipeline.command.validate import check
from pipeline.job_settings import OUTPUTS, RESULTS, SUMMARY, TEMPORARY
from pipeline.stages.journal import changes, start
from pipeline.storage.files import clear, lost_output

logging.disable(logging.NOTSET)
# Beam logs what breaks a job and raises it, too; once will do.
logging.getLogger("apache_beam.runners.common").setLevel(logging.CRITICAL)

KEPT = "what is finished is kept, and the same command with --resume{} goes on from there"


def annotate(argv: Sequence[str]) -> int:
    """Runs the command of these flags and returns its exit status; see the README."""
    try:
        options = parse(argv)
        job = check(options)
    except UsageError as error:
        print(f"run_pipeline.py: {error}", file=sys.stderr)
        return 2

    if options.plan:
        print(describe(job, options.overwrite))
        return 0

    # Not above: what the stages import takes longer than to refuse a flag.
    from pipeline.build import build

    standard = options.view_as(StandardOptions)
    if standard.runner in (None, "DirectRunner"):
        # What DirectRunner falls back to after it could not download another runner's binary.
        standard.runner = "FnApiRunner"
    options.view_as(SetupOptions).save_main_session = False

    kept = KEPT.format(" instead of --overwrite" if options.overwrite else "")
    watch_workers(f"run_pipeline.py: the job broke: {{}}; {kept}".format)
    started = time.monotonic()
    try:
        clear(job.output, OUTPUTS if options.overwrite else (*RESULTS, TEMPORARY))
        for change in changes(job):
            print(f"{change}: what was finished is done again", file=sys.stderr)
        start(job)
        pipeline = beam.Pipeline(options=options)
        build(pipeline, job)
        state = pipeline.run().wait_until_finish()
        clear(job.output, [TEMPORARY])
    except KeyboardInterrupt:
        print(f"run_pipeline.py: interrupted; {kept}", file=sys.stderr)
        return 130
    except Exception as error:
        lost = lost_output(error)
        if lost is None:
            traceback.print_exc()
        lines = str(lost or error).strip().splitlines() or [type(error).__name__]
        # A worker of another process sends the text of its traceback.
        reason = lines[-1 if lines[0].startswith("Traceback") else 0]
        print(f"run_pipeline.py: the job broke: {reason}; {kept}", file=sys.stderr)
        return 1
    if state != PipelineState.DONE:
        print(f"run_pipeline.py: the job ended as {state}; {kept}", file=sys.stderr)
        return 1
    seconds = time.monotonic() - started

    with FileSystems.open(FileSystems.join(job.output, SUMMARY)) as file:
        summary = json.load(file)
    for reason, count in summary["failures"].items():
        print(f"{count} failed: {reason}", file=sys.stderr)
    bad_truths = summary["bad_truths"]
    if bad_truths:
        print(
            f"{bad_truths} ground truths cannot be used; truth_error in metrics/ says why",
            file=sys.stderr,
        )
    elif job.truth is not None and not summary["with_truth"]:
        print(f"no image has a ground truth that --truth {job.truth!r} names", file=sys.stderr)
    images, failed = summary["images"], summary["failed"]
    print(
        f"{images} images, {failed} failures, {seconds:.1f} s, {images / seconds:.1f} images/s, "
        f"output in {job.output}"
    )
    return 3 if failed > options.max_failure_rate * images else 0
