"""Histograms and curves: exact in any order, and what plain loops and NumPy count."""

import json

import numpy as np
import pytest

from model.metrics.counts import LevelCounts
from pipeline.report.figures import DISTRIBUTIONS, Figures
from tests.pipeline.report.rows import ROWS


def figures_of(rows):
    figures = Figures()
    for one in rows:
        figures.add(one.values, one.size, one.status, one.level_counts)
    return figures


def test_any_grouping_gives_the_same_to_the_last_bit():
    whole = figures_of(ROWS)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(ROWS))
        parts = np.split(order, np.sort(rng.integers(0, len(ROWS), 3)))
        merged = Figures().merge(figures_of([ROWS[n] for n in part]) for part in parts)
        assert merged.to_json() == whole.to_json()


def test_it_counts_what_numpy_counts():
    figures = figures_of(ROWS)
    assert figures.images == 60
    assert figures.empty == sum(one.values["empty"] for one in ROWS)
    assert figures.with_truth == sum("mae" in one.values for one in ROWS)
    for one in DISTRIBUTIONS:
        values = [row.values[one.name] for row in ROWS if row.values.get(one.name) is not None]
        if one.name == "megapixels":
            values = [row.size[0] * row.size[1] / 1e6 for row in ROWS]
        edges = [-np.inf, *one.edges, np.inf]
        assert figures.bins[one.name] == np.histogram(values, edges)[0].tolist(), one.name
        assert figures.mean(one.name) == pytest.approx(np.mean(values), abs=1e-8)
        assert len(one.labels()) == len(one.edges) + 1


def test_curves_are_the_means_of_the_images_curves():
    counts = [LevelCounts.from_bytes(one.level_counts) for one in ROWS if one.level_counts]
    precision, recall, f = figures_of(ROWS).mean_curves()
    for level in (0, 1, 100, 200, 255):
        hits = [one.foreground[level:].sum() for one in counts]
        found = [h + one.background[level:].sum() for h, one in zip(hits, counts, strict=True)]
        expected = [h / n if n else 0 for h, n in zip(hits, found, strict=True)]
        assert precision[level] == pytest.approx(np.mean(expected), abs=1e-8)
        wanted = [h / one.foreground.sum() for h, one in zip(hits, counts, strict=True)]
        assert recall[level] == pytest.approx(np.mean(wanted), abs=1e-8)
    assert f == pytest.approx(np.mean([one.f_curve() for one in counts], axis=0), abs=1e-8)


def test_there_are_no_curves_without_truth():
    figures = figures_of([row for row in ROWS if row.level_counts is None])
    assert figures.mean_curves() is None
    assert figures.mean("iou") is None


def test_they_come_back_from_json():
    figures = figures_of(ROWS)
    again = Figures.from_json(json.loads(json.dumps(figures.to_json())))
    assert again.to_json() == figures.to_json()
    assert again.merge([figures]).images == 120
