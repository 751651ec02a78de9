"""The whole graph, in the order of the data."""

from __future__ import annotations

import functools

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.metrics import Metrics
from apache_beam.pvalue import AsDict, AsSingleton

from pipeline.decode import DecodeImages
from pipeline.job import FAILURES, METRICS, Job
from pipeline.read import ReadImages, ReadPairs
from pipeline.records import Failure
from pipeline.score import MergeRows, ScoreMasks
from pipeline.segment import SegmentImages, load_network
from pipeline.write import WriteLines, WriteMasks, write_summary


def build(pipeline: beam.Pipeline, job: Job) -> None:
    """Adds the job to a pipeline."""
    if job.masks is not None:
        rows, failures = _score(pipeline, job)
    else:
        rows, failures = _annotate(pipeline, job)

    rows | "WriteRows" >> WriteLines(FileSystems.join(job.output, METRICS, "metrics"))
    failures | "WriteFailures" >> WriteLines(FileSystems.join(job.output, FAILURES, "failures"))

    statistics = rows | "Statistics" >> beam.CombineGlobally(MergeRows())
    reasons = failures | "Reasons" >> beam.Map(_count) | beam.combiners.Count.PerElement()
    bad_truths = (
        rows
        | "BadTruths" >> beam.Filter(lambda row: row.status == "bad_truth")
        | "CountBadTruths" >> beam.combiners.Count.Globally()
    )
    statistics | "WriteSummary" >> beam.Map(
        write_summary, AsDict(reasons), AsSingleton(bad_truths), job.output
    )


def _annotate(pipeline: beam.Pipeline, job: Job):
    load = functools.partial(
        load_network, job.model, job.image_size, job.batch_size, job.tta, job.precision
    )
    read = pipeline | "Read" >> ReadImages(job.inputs, job.input_format, job.truth)
    decoded = read["images"] | "Decode" >> DecodeImages(job.image_size)
    segmented = decoded.images | "Segment" >> SegmentImages(load, job.batch_size)
    written = segmented.predictions | "Write" >> WriteMasks(job.output, job.threshold)
    failures = (read["failures"], decoded.failures, segmented.failures, written.failures)
    return written.rows, failures | "Failures" >> beam.Flatten()


def _score(pipeline: beam.Pipeline, job: Job):
    read = pipeline | "Read" >> ReadPairs(job.masks, job.truth)
    scored = read["images"] | "Score" >> ScoreMasks()
    return scored.rows, (read["failures"], scored.failures) | "Failures" >> beam.Flatten()


def _count(failure: Failure) -> str:
    Metrics.counter("failures", failure.reason).inc()
    return failure.reason
