"""Sources to rows in the journal: all that touches pixels, in one composite that Beam fuses."""

from __future__ import annotations

from typing import NamedTuple

import apache_beam as beam

from pipeline.job_settings import Job
from pipeline.stages.decode import DecodeImages
from pipeline.stages.journal import WriteJournal
from pipeline.stages.load import Load
from pipeline.stages.score import ScoreMasks
from pipeline.stages.segment import SegmentImages, network_of
from pipeline.stages.write import WriteAndScore


class Annotated(NamedTuple):
    """What became of the images.

    Attributes:
        rows: ``MetricsRow`` of each image that is finished, now or by an earlier run.
        failures: ``Failure`` of the others.
    """

    rows: beam.PCollection
    failures: beam.PCollection


class Annotate(beam.PTransform):
    """``Source`` to a mask and a row for each image, or to a row for each mask that is scored.

    Args:
        job: The job.
    """

    def __init__(self, job: Job):
        super().__init__()
        self.job = job

    def expand(self, sources) -> Annotated:
        """Loads, decodes, segments, writes, scores, and notes in the journal."""
        job, scores = self.job, self.job.masks is not None
        load = Load(job.output, scores=scores, timeout=job.read_timeout)
        loaded = sources | "Load" >> load
        if scores:
            scored = loaded.results | "Score" >> ScoreMasks(job.processes, job.max_pixels)
            failures = (loaded.failures, scored.failures)
        else:
            # While the network works on a batch, the next is decoded and the last is written.
            window = 2 * job.batch_size
            decoded = loaded.results | "Decode" >> DecodeImages(
                job.image_size, window, job.processes, job.max_pixels
            )
            segment = SegmentImages(network_of(job), job.batch_size)
            segmented = decoded.results | "Segment" >> segment
            scored = segmented.results | "WriteAndScore" >> WriteAndScore(
                job.output, job.threshold, window, job.processes, job.max_pixels
            )
            failures = (loaded.failures, decoded.failures, segmented.failures, scored.failures)
        journaled = (
            (scored.results, loaded.renewed)
            | "Finished" >> beam.Flatten()
            | "WriteJournal" >> WriteJournal(job.output)
        )
        return Annotated(
            (journaled, loaded.rows) | "Rows" >> beam.Flatten(),
            failures | "Failures" >> beam.Flatten(),
        )
