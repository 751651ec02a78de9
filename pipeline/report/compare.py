"""Two outputs side by side: which images got better, and which worse.

Rows of both lie in files that are sorted by their keys, so that they are joined while they are
read, in memory that does not grow with their number.
"""

from __future__ import annotations

import contextlib
import heapq
import operator
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from apache_beam.io.filesystems import FileSystems

from pipeline.output_layout import METRICS
from pipeline.records import MetricsRow
from pipeline.report.review import judge
from pipeline.report.top import Top
from pipeline.storage.files import literal
from pipeline.storage.journal_files import journal_files, newest, read_lines
from pipeline.storage.row_files import read_rows

# Images of a gallery.
IMAGES = 16
# By less, an IoU is the same.
SAME = 0.005


class Pair(NamedTuple):
    """The rows of an image in both outputs.

    Attributes:
        first: In the first.
        second: In the second.
    """

    first: dict
    second: dict

    def change(self, name: str) -> float | None:
        """By how much a figure grew, or None where one has none."""
        before, after = self.first.get(name), self.second.get(name)
        return None if before is None or after is None else after - before

    @property
    def change_of_doubt(self) -> float:
        """By how much the score of the review list grew."""
        return judge(self.second).score - judge(self.first).score


@dataclass
class Comparison:
    """What two outputs have in common, and where they differ most.

    Attributes:
        both: Images in both.
        only: Images in the first alone, and in the second alone.
        better: Images whose IoU rose by at least ``SAME``.
        worse: Images whose IoU fell by as much.
        measured: Images with an IoU in both.
        tops: By name of a gallery, the pairs in it.
    """

    both: int = 0
    only: list[int] = field(default_factory=lambda: [0, 0])
    better: int = 0
    worse: int = 0
    measured: int = 0
    tops: dict[str, Top] = field(
        default_factory=lambda: {
            name: Top(IMAGES) for name in ("worse", "better", "changed", "doubt", "sure")
        }
    )

    def add(self, pair: Pair) -> None:
        """Adds an image that is in both."""
        self.both += 1
        key = pair.first["key"]
        iou = pair.change("iou")
        if iou is not None:
            self.measured += 1
            self.better += iou >= SAME
            self.worse += iou <= -SAME
            if iou >= SAME:
                self.tops["better"].add((-iou, key), pair)
            if iou <= -SAME:
                self.tops["worse"].add((iou, key), pair)
        foreground, doubt = abs(pair.change("foreground_fraction")), pair.change_of_doubt
        if foreground:
            self.tops["changed"].add((-foreground, key), pair)
        if doubt:
            self.tops["doubt" if doubt > 0 else "sure"].add((-abs(doubt), key), pair)


def compare(first: str, second: str) -> Comparison:
    """Joins the rows of two output folders.

    Raises:
        ValueError: A folder has no rows, or they are not in the order of their keys.
        Exception: They cannot be read.
    """
    made = Comparison()
    with contextlib.ExitStack() as files:
        for one, other in joined(_rows(first, files), _rows(second, files)):
            if one is not None and other is not None:
                made.add(Pair(one, other))
            else:
                made.only[one is None] += 1
    return made


def joined(
    first: Iterator[dict], second: Iterator[dict]
) -> Iterator[tuple[dict | None, dict | None]]:
    """Rows of the same key, of two sorted streams; None where one has no such row."""
    one, other = next(first, None), next(second, None)
    while one is not None or other is not None:
        if other is None or (one is not None and one["key"] < other["key"]):
            yield one, None
            one = next(first, None)
        elif one is None or other["key"] < one["key"]:
            yield None, other
            other = next(second, None)
        else:
            yield one, other
            one, other = next(first, None), next(second, None)


def rows_in_journal(output: str, masks: Iterable[str]) -> dict[str, MetricsRow]:
    """Rows of an output with all that the journal says, by ``mask`` of their items."""
    wanted = set(masks)
    lines = (
        line
        for path in journal_files(output)
        for line in read_lines(path)
        if line[1].item.mask in wanted
    )
    return newest(lines)


def _rows(output: str, files: contextlib.ExitStack) -> Iterator[dict]:
    folder = literal(FileSystems.join(output, METRICS))
    found = FileSystems.match([f"{folder}/{METRICS}-*-of-*"])[0].metadata_list
    if not found:
        raise ValueError(f"{output} holds no {METRICS}/, which a job writes at its end")
    streams = []
    for file in sorted(found, key=lambda file: file.path):
        opened = files.enter_context(FileSystems.open(file.path))
        streams.append(read_rows(opened, file.path.rpartition(".")[2]))
    return _checked(heapq.merge(*streams, key=operator.itemgetter("key")), output)


def _checked(rows: Iterator[dict], output: str) -> Iterator[dict]:
    before = None
    for row in rows:
        if before is not None and row["key"] < before:
            raise ValueError(f"the rows of {output} are not in the order of their keys")
        before = row["key"]
        yield row
