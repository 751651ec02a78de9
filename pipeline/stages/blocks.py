"""Many small elements in few large ones, where runners move them from one stage to another.

A runner spends some ten microseconds and a few hundred bytes on each element that it moves, often
more than the element itself takes. Only names and rows are moved, never pixels.
"""

from __future__ import annotations

import pickle
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam

from pipeline.stages.outcomes import in_window

# Elements of a block, and elements that wait for the blocks of their buckets to grow.
MOST = 1000
WAITING = 50_000
# Groups of a bucket are made in memory: of 10^8 images, some 100,000 fall into each.
BUCKETS = 1024


class Pack(beam.PTransform):
    """Elements to blocks of them, as bytes."""

    def expand(self, elements):
        """Packs what a bundle brings."""
        return elements | beam.ParDo(_Pack())


class GroupInBlocks(beam.PTransform):
    """Tuple of collections of (text, value) to (text, tuple of the lists of their values).

    It is a ``CoGroupByKey`` that moves blocks.
    """

    def expand(self, collections):
        """Packs by bucket of the key, groups the buckets, unpacks."""
        count = len(collections)
        packed = [
            one | f"Pack{number}" >> beam.ParDo(_PackByBucket(number))
            for number, one in enumerate(collections)
        ]
        return (
            packed
            | beam.Flatten()
            | beam.GroupByKey()
            | "Unpack" >> beam.FlatMapTuple(lambda _, blocks: unpack_groups(blocks, count))
        )


def unpack(block: bytes) -> list:
    """The elements of a block."""
    return pickle.loads(zlib.decompress(block))


def pack(elements: list) -> bytes:
    """The block of elements."""
    # Names and rows are much alike: a quarter of their size is left.
    return zlib.compress(pickle.dumps(elements, protocol=pickle.HIGHEST_PROTOCOL), 1)


def place_blocks(block: bytes, count: int) -> Iterator[tuple[int, bytes]]:
    """The (text, value) elements of a block, as blocks by the number of the place of their text.

    Args:
        block: The block.
        count: How many places there are.
    """
    placed = defaultdict(list)
    for key, value in unpack(block):
        placed[place_of(key, count)].append((key, value))
    for number, elements in placed.items():
        yield number, pack(elements)


def place_of(text: str, count: int) -> int:
    """The number of the place of a text, of so many places."""
    return zlib.crc32(text.encode(errors="surrogatepass")) % count


def unpack_groups(
    blocks: Iterable[tuple[int, bytes]], count: int
) -> Iterator[tuple[str, tuple[list, ...]]]:
    """Groups the elements of a bucket by their keys.

    Args:
        blocks: Number of the collection that a block is of, and the block.
        count: Number of collections.
    """
    groups: dict[str, tuple[list, ...]] = {}
    for number, block in blocks:
        for key, value in unpack(block):
            if key not in groups:
                groups[key] = tuple([] for _ in range(count))
            groups[key][number].append(value)
    yield from groups.items()


class _Pack(beam.DoFn):
    def start_bundle(self):
        self.waiting: list = []

    def process(self, element: Any) -> Iterator[bytes]:
        self.waiting.append(element)
        if len(self.waiting) >= MOST:
            yield self._block()

    def finish_bundle(self) -> Iterator:
        if self.waiting:
            yield in_window(self._block())

    def _block(self) -> bytes:
        elements, self.waiting = self.waiting, []
        return pack(elements)


class _PackByBucket(beam.DoFn):
    def __init__(self, number: int):
        self.number = number

    def start_bundle(self):
        self.waiting: dict[int, list] = defaultdict(list)
        self.count = 0

    def process(self, element: tuple[str, Any]) -> Iterator:
        self.waiting[zlib.crc32(element[0].encode(errors="surrogatepass")) % BUCKETS].append(
            element
        )
        self.count += 1
        if self.count >= WAITING:
            yield from self._blocks()

    def finish_bundle(self) -> Iterator:
        yield from map(in_window, self._blocks())

    def _blocks(self) -> Iterator[tuple[int, tuple[int, bytes]]]:
        waiting, self.waiting, self.count = self.waiting, defaultdict(list), 0
        for bucket, elements in waiting.items():
            yield bucket, (self.number, pack(elements))
