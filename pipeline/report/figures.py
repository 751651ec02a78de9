"""Histograms and curves of all images of a job, merged exactly in whole numbers."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from model.metrics.counts import LevelCounts

THRESHOLDS = 256
# Curves are summed as whole numbers, so that the sum does not depend on its order. 2^63 is reached
# after eight billion images.
_ONE = 2**30
_SHARE = tuple(n / 20 for n in range(1, 20))
_MEGAPIXELS = (0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32)


@dataclass(frozen=True)
class Distribution:
    """What is counted in bins.

    Attributes:
        name: Of the value in a row.
        title: What it is called in the report.
        edges: Where one bin ends and the next begins; a value on an edge is in the later bin.
        ends: (least, most) of all values; most is None where there is no largest.
        needs_truth: Whether only images with a truth have it.
    """

    name: str
    title: str
    edges: tuple[float, ...]
    ends: tuple[float, float | None]
    needs_truth: bool = False

    def labels(self) -> list[str]:
        """What each bin is called."""
        if self.name == "components":
            return ["0", "1", "2", "3", "4", "5", "6 to 10", "11 to 20", "over 20"]
        bounds = (self.ends[0], *self.edges)
        labels = [f"{low:g} to {high:g}" for low, high in zip(bounds, self.edges, strict=False)]
        most = self.ends[1]
        end = f"{bounds[-1]:g} or more" if most is None else f"{bounds[-1]:g} to {most:g}"
        return [*labels, end]


def _measure(name: str, title: str) -> Distribution:
    return Distribution(name, title, _SHARE, (0, 1), needs_truth=True)


DISTRIBUTIONS = (
    Distribution("foreground_fraction", "Foreground, share of the image", _SHARE, (0, 1)),
    Distribution("uncertain_fraction", "Uncertain, share of the image", _SHARE, (0, 1)),
    Distribution(
        "mean_confidence", "Mean confidence", tuple(0.5 + n / 40 for n in range(1, 20)), (0.5, 1)
    ),
    Distribution("components", "Parts of the foreground", (1, 2, 3, 4, 5, 6, 11, 21), (0, None)),
    Distribution("megapixels", "Size of the image, megapixels", _MEGAPIXELS, (0, None)),
    _measure("iou", "IoU"),
    _measure("mae", "MAE (lower is better)"),
    _measure("s_measure", "S-measure"),
    _measure("weighted_f", "Weighted F"),
    _measure("f_max", "Largest F"),
    _measure("e_max", "Largest E"),
    _measure("dice", "Dice"),
    _measure("boundary_iou", "Boundary IoU"),
    _measure("relaxed_boundary_f", "Relaxed boundary F"),
)


@dataclass
class Figures:
    """Counts of many images.

    Attributes:
        images: How many.
        empty: How many have no foreground.
        touch_border: How many have foreground at the border.
        with_truth: How many were measured against a truth.
        bad_truths: How many have a truth that cannot be used.
        bins: By name of a distribution, images in each of its bins.
        sums: By name of a distribution, the sum of the values x 2^30.
        curve_images: Images with foreground in their truth: those of the curves.
        curves: int64 (3, 256), sums x 2^30 of precision, recall and F at each threshold.
    """

    images: int = 0
    empty: int = 0
    touch_border: int = 0
    with_truth: int = 0
    bad_truths: int = 0
    bins: dict[str, list[int]] = field(
        default_factory=lambda: {one.name: [0] * (len(one.edges) + 1) for one in DISTRIBUTIONS}
    )
    sums: dict[str, int] = field(default_factory=lambda: {one.name: 0 for one in DISTRIBUTIONS})
    curve_images: int = 0
    curves: np.ndarray = field(default_factory=lambda: np.zeros((3, THRESHOLDS), np.int64))

    def add(
        self,
        values: Mapping[str, Any],
        size: tuple[int, int],
        status: str = "ok",
        level_counts: bytes | None = None,
    ) -> None:
        """Adds an image, of which a row says all that is needed."""
        self.images += 1
        self.empty += bool(values["empty"])
        self.touch_border += bool(values["touches_border"])
        self.with_truth += values.get("mae") is not None
        self.bad_truths += status == "bad_truth"
        megapixels = size[0] * size[1] / 1e6
        for one in DISTRIBUTIONS:
            value = megapixels if one.name == "megapixels" else values.get(one.name)
            if value is not None:
                self.bins[one.name][bisect.bisect_right(one.edges, value)] += 1
                self.sums[one.name] += round(value * _ONE)
        if level_counts is not None:
            self._add_curves(LevelCounts.from_bytes(level_counts))

    def merge(self, others: Iterable[Figures]) -> Figures:
        """Adds the images of others."""
        for other in others:
            for name in ("images", "empty", "touch_border", "with_truth", "bad_truths"):
                setattr(self, name, getattr(self, name) + getattr(other, name))
            for name, bins in other.bins.items():
                pairs = zip(self.bins[name], bins, strict=True)
                self.bins[name] = [one + more for one, more in pairs]
                self.sums[name] += other.sums[name]
            self.curve_images += other.curve_images
            self.curves = self.curves + other.curves
        return self

    def mean(self, name: str) -> float | None:
        """The mean of a distribution, or None without a value."""
        count = sum(self.bins[name])
        return self.sums[name] / (count * _ONE) if count else None

    def mean_curves(self) -> np.ndarray | None:
        """float64 (3, 256): precision, recall and F at each threshold, means over images.

        Means over images are what papers draw. Images whose truth is empty have no recall and are
        left out. The precision of an empty mask is 0, as in the code that papers use.
        """
        return self.curves / (self.curve_images * _ONE) if self.curve_images else None

    def to_json(self) -> dict:
        """The figures as JSON can hold them, see ``from_json``."""
        return {**self.__dict__, "curves": self.curves.tolist()}

    @classmethod
    def from_json(cls, values: dict) -> Figures:
        """The figures that ``to_json`` made."""
        return cls(**{**values, "curves": np.array(values["curves"], np.int64)})

    def _add_curves(self, counts: LevelCounts) -> None:
        if not counts.positives:
            return
        self.curve_images += 1
        precision = counts.hits / np.maximum(counts.predicted, 1)
        recall = counts.hits / counts.positives
        one = np.stack([precision, recall, counts.f_curve()])
        self.curves = self.curves + np.rint(one * _ONE).astype(np.int64)
