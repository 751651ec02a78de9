"""The last lines of a job: failures by reason, what became of the ground truth, counts, speed."""

from __future__ import annotations

import json
import sys

from apache_beam.io.filesystems import FileSystems

from pipeline.job_settings import Job
from pipeline.output_layout import SUMMARY


def report(job: Job, seconds: float, kept: int) -> float:
    """Prints how a job ended.

    Args:
        job: The job, which is done.
        seconds: What this run took.
        kept: Images that an earlier run has finished.

    Returns:
        The share of the images that failed, in [0, 1].
    """
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
    earlier = f" ({kept} of an earlier run)" if kept else ""
    print(
        f"{images} images{earlier}, {failed} failures, {seconds:.1f} s, "
        f"{(images - kept) / seconds:.1f} images/s, output in {job.output}"
    )
    return failed / images if images else 0.0
