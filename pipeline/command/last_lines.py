"""The last lines of a job: failures by reason, what became of the ground truth, counts, speed."""

from __future__ import annotations

import json
import sys

from apache_beam.io.filesystems import FileSystems

from pipeline.job_settings import Job
from pipeline.output_layout import SUMMARY
from pipeline.storage.shards import INDEX


def read_summary(job: Job) -> dict:
    """The summary that a job has written."""
    with FileSystems.open(FileSystems.join(job.output, SUMMARY)) as file:
        return json.load(file)


def report(job: Job, summary: dict, seconds: float, kept: int | None) -> None:
    """Prints how a job ended: one line on standard output, and before it what there is to say.

    Args:
        job: The job, which is done.
        summary: What ``read_summary`` says of it.
        seconds: What this run took.
        kept: Images that an earlier run has finished; None if that is not known.
    """
    for reason, count in summary["failures"].items():
        print(f"{count} failed: {reason}", file=sys.stderr)
    for kind, note in summary["notes"].items():
        print(f"{note['count']} {kind}, such as {note['example']}", file=sys.stderr)
    bad_truths = summary["bad_truths"]
    if bad_truths:
        print(
            f"{bad_truths} ground truths cannot be used; truth_error in metrics/ says why",
            file=sys.stderr,
        )
    images, failed = summary["images"], summary["failed"]
    lost = summary["lost_shards"]
    if lost:
        print(
            f"{lost} shards are lost, in part or whole, with all images in them; failures/ says "
            f"where, at stage {INDEX!r}",
            file=sys.stderr,
        )
    earlier, speed = f" ({kept} of an earlier run)" if kept else "", ""
    if kept is None:
        earlier = " (some may be of an earlier run)"
    else:
        speed = f"{(images - kept) / seconds:.1f} images/s, "
    print(
        f"{images} images{earlier}, {failed} failures{f', {lost} shards lost' if lost else ''}, "
        f"{seconds:.1f} s, {speed}output in {job.output}"
    )
