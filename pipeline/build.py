"""The whole graph, in the order of the data."""

from __future__ import annotations

import apache_beam as beam

from pipeline.job_settings import Job
from pipeline.output_layout import FAILURES, METRICS
from pipeline.stages.annotate import Annotate
from pipeline.stages.read import ReadImages, ReadMasks
from pipeline.stages.resume import Resume
from pipeline.stages.rows import WriteLines
from pipeline.stages.summary import WriteSummary


def build(pipeline: beam.Pipeline, job: Job) -> None:
    """Adds the job to a pipeline."""
    read = pipeline | "Read" >> (_read_images(job) if job.masks is None else _read_masks(job))
    images, failures, kept = read.results, [read.failures], []

    if job.resume:
        scores = job.masks is not None
        resumed = images | "Resume" >> Resume(job.output, scores, job.read_timeout)
        images, kept = resumed.results, [resumed.rows]
        failures.append(resumed.failures)

    hints = dict(hint.split("=", 1) for hint in job.hints)
    annotated = images | "Annotate" >> Annotate(job).with_resource_hints(**hints)
    failures.append(annotated.failures)
    rows = (annotated.results, *kept) | "Rows" >> beam.Flatten()
    failed = failures | "Failures" >> beam.Flatten()

    rows | "WriteRows" >> WriteLines(job.output, METRICS)
    failed | "WriteFailures" >> WriteLines(job.output, FAILURES)
    (rows, failed, read.notes) | "WriteSummary" >> WriteSummary(job.output)


def _read_images(job: Job) -> ReadImages:
    return ReadImages(job.inputs, job.input_format, job.truth, job.read_timeout)


def _read_masks(job: Job) -> ReadMasks:
    return ReadMasks(job.masks, job.truth, job.read_timeout)
