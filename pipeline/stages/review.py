"""Rows to the review list, and the overlays of its first images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from pipeline.failures import BadImage, Failure
from pipeline.images.memory import room_for
from pipeline.images.overlay import draw_overlay
from pipeline.images.truth import decode_mask
from pipeline.job_settings import Job
from pipeline.output_layout import REVIEW_LIST
from pipeline.records import MetricsRow, Note
from pipeline.report.read_back import is_record, masks_in_shards, read_mask, read_stored
from pipeline.report.review import MOST, encode_list, order, overlay_name
from pipeline.report.top import Top
from pipeline.stages.gather import Gather
from pipeline.storage.files import write_file

NOTES = "notes"
# A place in the list, from 1 on, and what is there.
Ranked = tuple[int, MetricsRow]


class Review(NamedTuple):
    """What is written, and what is to be said of it.

    Attributes:
        written: An element for each file.
        notes: ``Note`` of overlays that cannot be drawn.
    """

    written: beam.PCollection
    notes: beam.PCollection


class FirstOfReview(beam.PTransform):
    """``MetricsRow`` to one list of those that come first in the review list, in their order."""

    def expand(self, rows):
        """Keeps the first, in memory that does not grow with the number of rows."""
        return rows | "First" >> Gather(FirstRows(MOST))


class WriteReview(beam.PTransform):
    """What ``FirstOfReview`` returns to ``review.csv`` and to overlays.

    Args:
        job: The settings.
    """

    def __init__(self, job: Job):
        super().__init__()
        self.job = job

    def expand(self, first) -> Review:
        """Writes the list, and reads photos and masks back for the overlays."""
        written = first | "WriteList" >> beam.Map(_write_list, self.job)
        drawn = (
            first
            | "Units" >> beam.FlatMap(units_of, self.job)
            # Names only.
            | beam.Reshuffle()
            | "Draw" >> beam.FlatMap(write_overlays, self.job).with_outputs(NOTES, main="drawn")
        )
        return Review((written, drawn.drawn) | "Written" >> beam.Flatten(), drawn.notes)


class FirstRows(beam.CombineFn):
    """``MetricsRow`` to the list of those that come first in the review list.

    Args:
        most: How many.
    """

    def __init__(self, most: int):
        self.most = most

    def create_accumulator(self) -> Top:
        """No rows."""
        return Top(self.most)

    def add_input(self, top: Top, row: MetricsRow) -> Top:
        """Adds a row."""
        top.add(order(row), replace(row, level_counts=None))
        return top

    def merge_accumulators(self, parts: Iterable[Top]) -> Top:
        """Merges what bundles or workers have kept."""
        return Top(self.most).merge(parts)

    def extract_output(self, top: Top) -> list[MetricsRow]:
        """The rows, in their order."""
        return top.elements()


def of_review(rows: list[MetricsRow], job: Job) -> list[MetricsRow]:
    """Those that ``--review`` asks for."""
    return rows[: job.review]


def units_of(rows: list[MetricsRow], job: Job) -> list[list[Ranked]]:
    """The images that get overlays, those of a shard together: it is read once for all."""
    units = defaultdict(list)
    for rank, row in enumerate(of_review(rows, job), 1):
        units[row.item.origin.path if is_record(row) else row.item.mask].append((rank, row))
    return list(units.values())


def write_overlays(unit: list[Ranked], job: Job) -> Iterator:
    """Writes the overlays of a unit.

    Args:
        unit: Of ``units_of``.
        job: The settings.

    Yields:
        The name of each file, and a ``Note`` under its tag for each that cannot be drawn.
    """
    ranks = {row.item.mask: rank for rank, row in unit}
    rows = [row for _, row in unit]
    in_shards = masks_in_shards(rows, job)
    for row, stored in read_stored(rows, job):
        name = overlay_name(ranks[row.item.mask])
        try:
            if isinstance(stored.photo, Exception):
                raise stored.photo
            with room_for(row.size[0] * row.size[1]):
                mask = decode_mask(read_mask(row, job, in_shards), job.max_pixels)
                if mask.shape != row.size[::-1]:
                    raise BadImage("mask_size", "the mask is not of the size of its image")
                overlay = draw_overlay(stored.photo, mask, job.max_pixels)
        except Exception as error:
            reason = Failure.of(row.key, "review", error).reason
            yield TaggedOutput(NOTES, Note(f"overlays of review/ are missing: {reason}", row.key))
            continue
        write_file(job.output, name, overlay)
        yield name


def _write_list(rows: list[MetricsRow], job: Job) -> str:
    write_file(job.output, REVIEW_LIST, encode_list(rows, job.review))
    return REVIEW_LIST
