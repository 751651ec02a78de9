"""Cuts large shards, so that several workers can read one."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import apache_beam as beam

from pipeline.failures import Attempt, Failure
from pipeline.progress_counts import count
from pipeline.records import Source
from pipeline.stages.outcomes import Outcome, split_attempts
from pipeline.stages.timed_reads import TimedReads
from pipeline.storage.raw_records import BY_CONVENTION, Fields
from pipeline.storage.shards import CUT_BYTES, INDEX, cut_shard

# A chunk is read in about so many times what an image may take.
PATIENCE = 10


class CutShards(beam.PTransform):
    """``Source`` to sources that can be read side by side.

    Args:
        timeout: Seconds that a step of the cut may take.
        fields: What is meant in the records of shards.
    """

    def __init__(self, timeout: float, fields: Fields = BY_CONVENTION):
        super().__init__()
        self.timeout = timeout
        self.fields = fields

    def expand(self, sources) -> Outcome:
        """Reads the large shards; all others pass."""
        small, large = sources | beam.Partition(lambda one, _: int(is_large(one)), 2)
        cut = split_attempts(
            large,
            "Cut",
            TimedReads(
                functools.partial(cut_shard, fields=self.fields),
                ahead=2,
                at_once=2,
                name="cut",
                timeout=PATIENCE * self.timeout,
                on_timeout=rest_of_cut,
            ),
        )
        found = (small, cut.results) | beam.Flatten() | "Count" >> beam.Map(_counted)
        return Outcome(found, cut.failures)


def rest_of_cut(source: Source, count: int, error: Exception) -> Iterator[Attempt]:
    """What comes instead of the chunks after the first ``count``: the shard, or a failure."""
    if count == 0:
        yield Attempt(source)
    else:
        place = f"{source.path}, after {count} chunks"
        yield Attempt(failure=Failure.of(place, INDEX, error))


def is_large(source: Source) -> bool:
    """Whether a source is a shard that is worth to be cut."""
    return source.chunk is not None and source.size > CUT_BYTES


def _counted(source: Source) -> Source:
    """The source itself, once it is counted for the progress that is shown."""
    if source.chunk is None:
        count("images")
    elif source.chunk.count is None:
        count("shards")
    else:
        count("images", source.chunk.count)
    return source
