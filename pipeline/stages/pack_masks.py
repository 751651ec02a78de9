"""Makes shards of the masks of a job, at its end; ``packed_journal`` has the order of the steps.

Only names and rows pass from step to step. A worker holds the rows of a shard, and few masks.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import apache_beam as beam
from apache_beam.pvalue import AsSingleton

from pipeline.job_settings import Job
from pipeline.output_layout import MASKS
from pipeline.records import MetricsRow
from pipeline.stages.blocks import GroupInBlocks, Pack, place_blocks, unpack
from pipeline.stages.fill_shards import empty_shard, in_shard, write_shard
from pipeline.storage.mask_shards import shard_name, shard_of
from pipeline.storage.packed_head import Packed, read_packed
from pipeline.storage.packed_journal import commit, drop_parts, open_packing

# About so many bytes of masks and images in a shard, and so many masks, whose rows a worker holds.
SHARD_BYTES = 256 << 20
SHARD_ROWS = 20_000


class PackedMasks(NamedTuple):
    """What ``PackMasks`` returns.

    Attributes:
        rows: The rows, which name their shards.
        in_parts: The rows, which name the parts where masks are until ``DropParts``; if nothing is
            to be done, the shards.
        shape: One ``Shape``.
        written: An element once all shards are written.
    """

    rows: beam.PCollection
    in_parts: beam.PCollection
    shape: beam.PCollection
    written: beam.PCollection


@dataclass(frozen=True)
class Extent:
    """How much a job's masks are.

    Attributes:
        masks: How many.
        size: Bytes of masks and images.
        in_parts: How many of them are in parts.
    """

    masks: int = 0
    size: int = 0
    in_parts: int = 0


@dataclass(frozen=True)
class Shape:
    """The shards that a job leaves.

    Attributes:
        packed: How many shards, and how many masks.
        is_there: Whether an earlier run has left them, and nothing is to be done.
    """

    packed: Packed
    is_there: bool


class PackMasks(beam.PTransform):
    """``MetricsRow`` of all masks of a job to shards on storage.

    Args:
        job: The settings.
    """

    def __init__(self, job: Job):
        super().__init__()
        self.job = job

    def expand(self, rows) -> PackedMasks:
        """Counts, empties older shards into parts, writes the new ones, and makes them count."""
        job, output = self.job, self.job.output
        shape = (
            rows
            | "Extent" >> beam.CombineGlobally(MergeExtents())
            | "Shape" >> beam.Map(shape_of, job)
        )
        in_parts, in_shards = rows | beam.Partition(lambda row, _: int(_is_in_shard(row)), 2)
        by_shard = in_shards | "Shard" >> beam.Map(lambda row: (row.item.stored.file, row))
        emptied = (
            (by_shard,)
            | "ByShard" >> GroupInBlocks()
            | "Empty" >> beam.FlatMap(_empty, AsSingleton(shape), job)
        )
        blocks = (
            in_parts | "KeyInParts" >> beam.Map(_by_key) | "PackInParts" >> Pack(),
            emptied | "KeyEmptied" >> beam.Map(_by_key) | "PackEmptied" >> Pack(),
        ) | "InParts" >> beam.Flatten()
        opened = (
            blocks
            | "Emptied" >> beam.combiners.Count.Globally()
            | "Open" >> beam.Map(_open, AsSingleton(shape), output)
        )
        # Each shard has a seed, so that one without a mask is written, too.
        seeds = shape | "Seed" >> beam.FlatMap(
            lambda shape: [(number, None) for number in range(shape.packed.shards)]
        )
        placed = blocks | "Place" >> beam.FlatMap(_place, AsSingleton(shape))
        written = (
            (seeds, placed)
            | "SeedsAndRows" >> beam.Flatten()
            | beam.GroupByKey()
            | "Write" >> beam.Map(_write, AsSingleton(shape), AsSingleton(opened), job)
            | "Written" >> beam.combiners.Count.Globally()
            | "Commit" >> beam.Map(_commit, AsSingleton(shape), output)
        )
        final = rows | "NameShard" >> beam.Map(_name_shard, AsSingleton(shape), job.mask_format)
        gathered = blocks | "Gathered" >> beam.FlatMap(
            lambda block: [row for _, row in unpack(block)]
        )
        return PackedMasks(final, gathered, shape, written)


class DropParts(beam.PTransform):
    """What is there once a job's results are written, to the same once its parts are removed.

    Args:
        output: The output folder.
        shape: What ``PackMasks`` says.
    """

    def __init__(self, output: str, shape: beam.PCollection):
        super().__init__()
        self.output = output
        self.shape = shape

    def expand(self, done):
        """Removes them."""
        return done | beam.Map(_drop, AsSingleton(self.shape), self.output)


class MergeExtents(beam.CombineFn):
    """``MetricsRow`` to their ``Extent``."""

    def create_accumulator(self) -> Extent:
        """No masks."""
        return Extent()

    def add_input(self, extent: Extent, row: MetricsRow) -> Extent:
        """Adds a mask."""
        stored = row.item.stored
        size = stored.mask_bytes + stored.image_bytes
        return _sum(extent, Extent(1, size, int(not _is_in_shard(row))))

    def merge_accumulators(self, parts) -> Extent:
        """Merges what bundles or workers have counted."""
        return functools.reduce(_sum, parts, Extent())

    def extract_output(self, extent: Extent) -> Extent:
        """The extent as it is."""
        return extent


def shape_of(extent: Extent, job: Job) -> Shape:
    """What shards a job's masks make. It depends on the masks alone, not on earlier shards."""
    shards = max(1, -(-extent.size // SHARD_BYTES), -(-extent.masks // SHARD_ROWS))
    packed = Packed(shards, extent.masks)
    # If all that is wanted is in shards, and the shards hold as many, they hold nothing else.
    is_there = extent.in_parts == 0 and read_packed(job.output) == packed
    # Annotations are made of masks, and a mask in a part is found by its place.
    is_there = is_there and not job.annotations
    return Shape(packed, is_there)


def _sum(one: Extent, other: Extent) -> Extent:
    return Extent(one.masks + other.masks, one.size + other.size, one.in_parts + other.in_parts)


def _is_in_shard(row: MetricsRow) -> bool:
    return row.item.stored.file.startswith(f"{MASKS}/")


def _by_key(row: MetricsRow) -> tuple[str, MetricsRow]:
    return row.key, row


def _name_shard(row: MetricsRow, shape: Shape, mask_format: str) -> MetricsRow:
    shards = shape.packed.shards
    return in_shard(row, shard_of(row.key, shards, mask_format))


def _empty(group: tuple[str, tuple[list]], shape: Shape, job: Job) -> list[MetricsRow]:
    shard, (rows,) = group
    if shape.is_there:
        return rows
    return empty_shard(job.output, shard, rows, job.mask_format)


def _open(_: int, shape: Shape, output: str) -> None:
    if not shape.is_there:
        open_packing(output)


def _place(block: bytes, shape: Shape) -> Iterator[tuple[int, bytes]]:
    """The rows of a block, as blocks by the number of their shard."""
    if not shape.is_there:
        yield from place_blocks(block, shape.packed.shards)


def _write(group: tuple, shape: Shape, _: None, job: Job) -> None:
    number, blocks = group
    if not shape.is_there:
        rows = [row for block in blocks if block is not None for _, row in unpack(block)]
        shard = shard_name(number, shape.packed.shards, job.mask_format)
        write_shard(job.output, shard, rows, job)


def _commit(_: int, shape: Shape, output: str) -> None:
    if not shape.is_there:
        commit(output, shape.packed)


def _drop(done, shape: Shape, output: str):
    # Where an earlier run has left the shards, rows may have come that say more of their images.
    drop_parts(output, with_rows=not shape.is_there)
    return done
