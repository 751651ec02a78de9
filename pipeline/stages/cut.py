"""Cuts large shards, so that several workers can read one."""

from __future__ import annotations

import apache_beam as beam

from pipeline.records import Source
from pipeline.stages.load import rest_of_source
from pipeline.stages.outcomes import Outcome, split_attempts
from pipeline.stages.timed_reads import TimedReads
from pipeline.storage.shards import CUT_BYTES, cut_shard


class CutShards(beam.PTransform):
    """``Source`` to sources that can be read side by side.

    Args:
        timeout: Seconds that a step of the cut may take.
    """

    def __init__(self, timeout: float):
        super().__init__()
        self.timeout = timeout

    def expand(self, sources) -> Outcome:
        """Reads the large shards; all others pass."""
        small, large = sources | beam.Partition(lambda one, _: int(is_large(one)), 2)
        cut = split_attempts(
            large,
            "Cut",
            TimedReads(
                cut_shard,
                ahead=2,
                at_once=2,
                name="cut",
                timeout=self.timeout,
                on_timeout=rest_of_source,
            ),
        )
        return Outcome((small, cut.results) | beam.Flatten(), cut.failures)


def is_large(source: Source) -> bool:
    """Whether a source is a shard that is worth to be cut."""
    return source.chunk is not None and source.size > CUT_BYTES
