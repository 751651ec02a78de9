"""Histograms and curves as coordinates, which the page's template draws as SVG.

A histogram is some rectangles. Plotting libraries bring tens of megabytes and seconds, or a
megabyte of JavaScript into each page, and their pictures do not follow the colours of the page.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.report.figures import DISTRIBUTIONS, Figures

# Of a chart, in its own units.
WIDTH, HEIGHT = 320, 120
_GAP = 2


@dataclass(frozen=True)
class Bar:
    """A bar of a histogram.

    Attributes:
        label: Its bin.
        count: Images in it.
        x: Its left edge.
        y: Its upper edge.
        width: Its width.
        height: Its height.
    """

    label: str
    count: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Histogram:
    """A histogram.

    Attributes:
        title: What is counted.
        bars: A bar for each bin.
        mean: The mean of all values, as text.
        images: How many images have a value.
        ends: What is written below its left and its right end.
    """

    title: str
    bars: list[Bar]
    mean: str
    images: int
    ends: tuple[str, str]

    @property
    def in_words(self) -> str:
        """What a screen reader says instead of it."""
        most = max(self.bars, key=lambda bar: bar.count)
        return (
            f"{self.title}: mean {self.mean} of {self.images} images; "
            f"most, {most.count}, at {most.label}"
        )


@dataclass(frozen=True)
class Curve:
    """A curve, in a square of ``HEIGHT`` by ``HEIGHT``.

    Attributes:
        title: What it shows.
        across: What grows from left to right.
        up: What grows upwards.
        points: As SVG's polylines have them.
        in_words: What a screen reader says instead of it.
        mark: (x, y) of the point that is marked, or None.
    """

    title: str
    across: str
    up: str
    points: str
    in_words: str
    mark: tuple[float, float] | None = None


def histograms(figures: Figures) -> list[Histogram]:
    """The histograms of all distributions that have values."""
    made = []
    for one in DISTRIBUTIONS:
        counts = figures.bins[one.name]
        if not any(counts):
            continue
        step, tallest, labels = WIDTH / len(counts), max(counts), one.labels()
        bars = []
        for number, (label, count) in enumerate(zip(labels, counts, strict=True)):
            # One image among many thousands is to be seen, too.
            height = max(HEIGHT * count / tallest, 1.5) if count else 0
            x = number * step + _GAP / 2
            bars.append(
                Bar(label, count, round(x, 2), round(HEIGHT - height, 2), step - _GAP, height)
            )
        mean = f"{figures.mean(one.name):.3g}"
        ends = (labels[0].split(" to ")[0], labels[-1].split(" to ")[-1])
        made.append(Histogram(one.title, bars, mean, sum(counts), ends))
    return made


def curves(figures: Figures) -> list[Curve]:
    """Precision by recall, and F by threshold; none without truth."""
    means = figures.mean_curves()
    if means is None:
        return []
    precision, recall, f = means
    thresholds = np.arange(len(f)) / 255
    best = int(f.argmax())
    of = f"mean of {figures.curve_images} images"
    area = f"precision {precision[best]:.3f} and recall {recall[best]:.3f} where F is highest"
    mark = _point(recall[best], precision[best]), _point(thresholds[best], f[best])
    highest = f"highest {f[best]:.3f} at a threshold of {thresholds[best]:.2f}"
    return [
        Curve(
            "Precision and recall",
            "recall",
            "precision",
            _points(recall, precision),
            f"Precision by recall, {of}: {area}",
            mark[0],
        ),
        Curve(
            "F-measure by threshold",
            "threshold",
            "F",
            _points(thresholds, f),
            f"F by threshold, {of}: {highest}",
            mark[1],
        ),
    ]


def _points(x: np.ndarray, y: np.ndarray) -> str:
    return " ".join(f"{a:g},{b:g}" for a, b in map(_point, x, y))


def _point(x: float, y: float) -> tuple[float, float]:
    return round(HEIGHT * float(x), 1), round(HEIGHT * (1 - float(y)), 1)
