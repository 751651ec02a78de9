"""Gathers encoded masks in parts, from which shards are made at the end of a job."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future

import apache_beam as beam

from pipeline.records import MetricsRow
from pipeline.stages.outcomes import in_window
from pipeline.stages.threads import shared_pool, thread_count, usable_cores
from pipeline.storage.mask_parts import PART_BYTES, EncodedMask, write_part
from pipeline.tally import hand_over, tallied

# A part is written when it is large, or with the first mask that comes so many seconds after the
# last part: what a job loses when it is killed is what it did meanwhile.
SECONDS = 5.0


class GatherMasks(beam.PTransform):
    """``EncodedMask`` to its row, once the part that it is in is written.

    Args:
        output: The output folder.
        processes: As for ``InThreads``.
    """

    def __init__(self, output: str, processes: int):
        super().__init__()
        self.output = output
        self.processes = processes

    def expand(self, masks):
        """Gathers the masks of a bundle."""
        return masks | beam.ParDo(_Gather(self.output, self.processes))


class _Gather(beam.DoFn):
    def __init__(self, output: str, processes: int):
        self.output = output
        self.processes = processes

    def setup(self):
        self.pool = shared_pool(thread_count(self.processes, usable_cores()))

    def start_bundle(self):
        # A part is written in a thread while the next is gathered: an upload takes a second.
        self.writing: Future | None = None
        self._begin_part()

    def process(self, mask: EncodedMask) -> Iterator[MetricsRow]:
        if self.writing is not None and self.writing.done():
            yield from self._written()
        self.waiting.append(mask)
        self.size += mask.size
        if self.size >= PART_BYTES or time.monotonic() - self.since >= SECONDS:
            yield from self._flush()

    def finish_bundle(self) -> Iterator:
        if self.waiting:
            yield from map(in_window, self._flush())
        yield from map(in_window, self._written())

    def _begin_part(self) -> None:
        self.waiting: list[EncodedMask] = []
        self.size = 0
        self.since = time.monotonic()

    def _flush(self) -> list[MetricsRow]:
        """Begins to write what waits; the rows of the part before."""
        rows = self._written()
        self.writing = self.pool.submit(_write, self.output, self.waiting)
        self._begin_part()
        return rows

    def _written(self) -> list[MetricsRow]:
        """Waits for the part that is written; its rows."""
        if self.writing is None:
            return []
        writing, self.writing = self.writing, None
        rows, tally = writing.result()
        hand_over(tally)
        return rows


def _write(output: str, masks: list[EncodedMask]) -> tuple[list[MetricsRow], Counter]:
    with tallied() as tally:
        rows = write_part(output, masks)
    return rows, tally
