"""Which images a report shows, and a bounded choice of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from pipeline.records import MetricsRow
from pipeline.report.review import judge
from pipeline.report.top import Top

# Images of a gallery. All galleries together show ten times as many at most.
IMAGES = 10
NEARLY_FULL = 0.9


class Gallery(NamedTuple):
    """Images that are shown together.

    Attributes:
        name: What it is called in files.
        title: What it is called for people.
        says: What its images are, and in which order.
        rank: From a row to what sorts it, smallest first; None for an image that is not in it.
    """

    name: str
    title: str
    says: str
    rank: Callable[[MetricsRow], float | None]


def _drawn(row: MetricsRow) -> float:
    """A number that looks random, and is the same each time."""
    digest = hashlib.blake2b(row.key.encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64


def _value(name: str, sign: int = 1) -> Callable[[MetricsRow], float | None]:
    def rank(row: MetricsRow) -> float | None:
        value = row.values.get(name)
        return None if value is None else sign * value

    return rank


def _empty(row: MetricsRow) -> float | None:
    return row.values["mean_confidence"] if row.values["empty"] else None


def _nearly_full(row: MetricsRow) -> float | None:
    share = row.values["foreground_fraction"]
    return -share if share >= NEARLY_FULL else None


def _at_border(row: MetricsRow) -> float | None:
    return _drawn(row) if row.values["touches_border"] else None


def _in_parts(row: MetricsRow) -> float | None:
    parts = row.values["components"]
    return -parts if parts > 1 else None


GALLERIES = (
    Gallery(
        "review", "Worth a look", "first of the review list", lambda row: -judge(row.values).score
    ),
    Gallery("random", "Random", "drawn by their names", _drawn),
    Gallery(
        "uncertain", "Least certain", "lowest mean confidence first", _value("mean_confidence")
    ),
    Gallery("empty", "Empty", "no pixel reaches 0.5; least certain first", _empty),
    Gallery(
        "full", "Nearly full", f"foreground of at least {NEARLY_FULL:.0%}, most first", _nearly_full
    ),
    Gallery("border", "At the border", "the foreground reaches the border; random", _at_border),
    Gallery("parts", "Many parts", "most parts of the foreground first", _in_parts),
    Gallery("worst_iou", "Worst IoU", "lowest IoU with the truth first", _value("iou")),
    Gallery(
        "worst_boundary",
        "Worst boundary",
        "lowest boundary IoU with the truth first",
        _value("boundary_iou"),
    ),
    Gallery("best_iou", "Best IoU", "highest IoU with the truth first", _value("iou", -1)),
)


@dataclass
class Picks:
    """The rows of each gallery, as far as they have come.

    Attributes:
        tops: By name of a gallery.
    """

    tops: dict[str, Top] = field(
        default_factory=lambda: {gallery.name: Top(IMAGES) for gallery in GALLERIES}
    )

    def add(self, row: MetricsRow) -> None:
        """Adds an image."""
        row = replace(row, level_counts=None)
        for gallery in GALLERIES:
            rank = gallery.rank(row)
            if rank is not None:
                self.tops[gallery.name].add((rank, row.key, row.item.mask), row)

    def merge(self, others: Iterable[Picks]) -> Picks:
        """Adds what others have picked."""
        for other in others:
            for name, top in other.tops.items():
                self.tops[name].merge([top])
        return self

    def rows(self) -> dict[str, list[MetricsRow]]:
        """The rows of each gallery, in its order."""
        return {name: top.elements() for name, top in self.tops.items()}
