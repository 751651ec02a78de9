"""The whole graph, in the order of the data."""

from __future__ import annotations

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.pvalue import AsDict, AsSingleton

from pipeline.images.photo import DecodeImages
from pipeline.job_settings import FAILURES, METRICS, Job
from pipeline.records import Failure
from pipeline.stages.journal import KeepRows, ReadJournal, WriteJournal
from pipeline.stages.read import ReadImages, ReadPairs
from pipeline.stages.score import MergeRows, ScoreMasks
from pipeline.stages.segment import SegmentImages, network_of
from pipeline.stages.write import WriteLines, WriteMasks, write_summary


def build(pipeline: beam.Pipeline, job: Job) -> None:
    """Adds the job to a pipeline."""
    finished = pipeline | "ReadJournal" >> ReadJournal(job.output) if job.resume else None
    make_rows = _annotate if job.masks is None else _score
    made, done, failures = make_rows(pipeline, job, finished and finished | _contents())
    rows = made | "WriteJournal" >> WriteJournal(job.output)
    if finished is not None:
        rows = (rows, done | KeepRows(finished)) | "AllRows" >> beam.Flatten()

    rows | "WriteRows" >> WriteLines(job.output, METRICS)
    failures | "WriteFailures" >> WriteLines(job.output, FAILURES)

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


def _annotate(pipeline: beam.Pipeline, job: Job, finished: beam.PCollection | None):
    read = pipeline | "Read" >> ReadImages(
        job.inputs, job.input_format, job.truth, job.read_timeout, job.output, finished
    )
    # While the network is busy with a batch, the next is decoded and the last is written.
    ahead = 2 * job.batch_size
    decoded = read["images"] | "Decode" >> DecodeImages(job.image_size, ahead)
    segmented = decoded.images | "Segment" >> SegmentImages(network_of(job), job.batch_size)
    written = segmented.predictions | "Write" >> WriteMasks(job.output, job.threshold, ahead)
    failures = (read["failures"], decoded.failures, segmented.failures, written.failures)
    return written.rows, read["done"], failures | "Failures" >> beam.Flatten()


def _score(pipeline: beam.Pipeline, job: Job, finished: beam.PCollection | None):
    read = pipeline | "Read" >> ReadPairs(job.masks, job.truth, job.read_timeout, finished)
    scored = read["images"] | "Score" >> ScoreMasks()
    failures = (read["failures"], scored.failures)
    return scored.rows, read["done"], failures | "Failures" >> beam.Flatten()


def _contents() -> beam.PTransform:
    """What is done: path of a mask to the content that it is of."""
    return "Contents" >> beam.MapTuple(lambda mask, row: (mask, row.content))


def _count(failure: Failure) -> str:
    Metrics.counter("failures", failure.reason).inc()
    return failure.reason
