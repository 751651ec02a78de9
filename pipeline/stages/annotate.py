"""What is done where the images are: a composite that runners fuse into one stage.

No image bytes, pixels or maps leave it: what comes out are rows and failures. Resource hints belong
on the whole composite, as hints on one transform in it would cut it in two.
"""

from __future__ import annotations

from typing import NamedTuple

import apache_beam as beam

from pipeline.job_settings import Job
from pipeline.progress_counts import passing
from pipeline.stages.blocks import Pack
from pipeline.stages.decode import DecodeImages
from pipeline.stages.gather_masks import GatherMasks
from pipeline.stages.journal import WriteJournal
from pipeline.stages.load import Load
from pipeline.stages.load_network import network_of
from pipeline.stages.score import ScoreMasks
from pipeline.stages.segment import SegmentImages
from pipeline.stages.write import WriteAndScore
from pipeline.storage.raw_records import fields_of


class Annotated(NamedTuple):
    """An ``Outcome``, and what of it is new.

    Attributes:
        results: Blocks of the ``MetricsRow`` of all images that were read.
        failures: ``Failure`` of those that have no mask.
        made: Blocks of the rows of images that no earlier run had finished.
    """

    results: beam.PCollection
    failures: beam.PCollection
    made: beam.PCollection


class Annotate(beam.PTransform):
    """``Source`` to blocks of ``MetricsRow`` in the journal, with a mask on storage for each.

    Args:
        job: The settings. With ``masks``, existing masks are scored and no network is asked.
    """

    def __init__(self, job: Job):
        super().__init__()
        self.job = job

    def expand(self, sources) -> Annotated:
        """Loads, decodes, segments, writes, scores, and notes in the journal."""
        job, scores = self.job, self.job.masks is not None
        load = Load(job.output, scores=scores, timeout=job.read_timeout, fields=fields_of(job))
        loaded = sources | "Load" >> load
        if scores:
            scored = loaded.results | "Score" >> ScoreMasks(job.processes, job.max_pixels)
            failures = (loaded.failures, scored.failures)
        else:
            # While the network works on a batch, the next is decoded and the last is written.
            window = 2 * job.batch_size
            decoded = loaded.results | "Decode" >> DecodeImages(job, window)
            segment = SegmentImages(network_of(job), job.batch_size)
            segmented = decoded.results | "Segment" >> segment
            scored = segmented.results | "WriteAndScore" >> WriteAndScore(job, window)
            failures = (loaded.failures, decoded.failures, segmented.failures, scored.failures)
        # Not flattened before, either: they would be counted when all images are done.
        failed = [
            one | f"Failed{number}" >> beam.Map(passing, "failed")
            for number, one in enumerate(failures)
        ]
        done = scored.results | "Done" >> beam.Map(passing, "done")
        if job.in_shards:
            done = done | "GatherMasks" >> GatherMasks(job.output, job.processes)
        journaled = done | "WriteJournal" >> WriteJournal(job.output)
        # Not flattened before: local runners would gather all rows there, and then write them.
        renewed = loaded.renewed | "RenewJournal" >> WriteJournal(job.output)
        made = journaled | "PackNew" >> Pack()
        rows = (
            made,
            renewed | "PackRenewed" >> Pack(),
            loaded.rows | "PackKept" >> Pack(),
        )
        return Annotated(
            rows | "Rows" >> beam.Flatten(),
            failed | "Failures" >> beam.Flatten(),
            made,
        )
