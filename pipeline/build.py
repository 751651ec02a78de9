"""The whole graph, in the order of the data."""

from __future__ import annotations

import apache_beam as beam

from pipeline.job_settings import Job
from pipeline.output_layout import FAILURES, METRICS
from pipeline.stages.decode import DecodeImages
from pipeline.stages.journal import WriteJournal
from pipeline.stages.read import ReadImages, ReadMasks
from pipeline.stages.resume import Resume
from pipeline.stages.rows import WriteLines
from pipeline.stages.score import ScoreMasks
from pipeline.stages.segment import SegmentImages, network_of
from pipeline.stages.summary import WriteSummary
from pipeline.stages.write import WriteAndScore


def build(pipeline: beam.Pipeline, job: Job) -> None:
    """Adds the job to a pipeline."""
    read = pipeline | "Read" >> (_read_images(job) if job.masks is None else _read_masks(job))
    images, failures, kept = read.results, [read.failures], []

    if job.resume:
        scores = job.masks is not None
        resumed = images | "Resume" >> Resume(job.output, scores, job.read_timeout)
        images, kept = resumed.results, [resumed.rows]
        failures.append(resumed.failures)

    if job.masks is None:
        # While the network works on a batch, the next is decoded and the last is written.
        window = 2 * job.batch_size
        decoded = images | "Decode" >> DecodeImages(
            job.image_size, window, job.processes, job.max_pixels
        )
        segmented = decoded.results | "Segment" >> SegmentImages(network_of(job), job.batch_size)
        scored = segmented.results | "WriteAndScore" >> WriteAndScore(
            job.output, job.threshold, window, job.processes, job.max_pixels
        )
        failures += [decoded.failures, segmented.failures, scored.failures]
    else:
        scored = images | "Score" >> ScoreMasks(job.processes, job.max_pixels)
        failures.append(scored.failures)

    journaled = scored.results | "WriteJournal" >> WriteJournal(job.output)
    rows = (journaled, *kept) | "Rows" >> beam.Flatten()
    failed = failures | "Failures" >> beam.Flatten()

    rows | "WriteRows" >> WriteLines(job.output, METRICS)
    failed | "WriteFailures" >> WriteLines(job.output, FAILURES)
    (rows, failed, read.notes) | "WriteSummary" >> WriteSummary(job.output)


def _read_images(job: Job) -> ReadImages:
    return ReadImages(job.inputs, job.input_format, job.truth, job.read_timeout)


def _read_masks(job: Job) -> ReadMasks:
    return ReadMasks(job.masks, job.truth, job.read_timeout)
