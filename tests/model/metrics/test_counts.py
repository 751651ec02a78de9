import zlib

import numpy as np
import pytest

from model.metrics.counts import LevelCounts, count_levels, histogram
from model.metrics.pair import compare


@pytest.mark.parametrize("share", [0, 0.3, 1])
def test_counts_alone_give_the_values_of_a_comparison(share):
    rng = np.random.default_rng(0)
    prediction, truth = rng.integers(0, 256, (20, 31), dtype=np.uint8), rng.random((20, 31)) < share
    counts, comparison = count_levels(prediction, truth), compare(prediction, truth)
    assert counts.mae() == comparison.values["mae"]
    assert counts.iou() == comparison.values["iou"]
    assert counts.dice() == comparison.values["dice"]
    np.testing.assert_array_equal(counts.f_curve(), comparison.counts.f_curve())
    np.testing.assert_array_equal(counts.e_curve(), comparison.counts.e_curve())


def test_levels_are_counted_by_truth():
    prediction = np.array([[0, 255, 255], [7, 7, 7]], np.uint8)
    counts = count_levels(prediction, np.array([[True, True, False], [False, False, True]]))
    assert {level: int(counts.background[level]) for level in (0, 7, 255)} == {0: 0, 7: 2, 255: 1}
    assert {level: int(counts.foreground[level]) for level in (0, 7, 255)} == {0: 1, 7: 1, 255: 1}
    assert (counts.size, counts.positives) == (6, 3)
    assert (counts.hits[8], counts.predicted[8]) == (1, 2)


@pytest.mark.parametrize("largest", [0, 1, 300, 2**40])
def test_counts_come_back_from_their_compact_form(largest):
    rng = np.random.default_rng(largest)
    counts = LevelCounts(*rng.integers(0, largest, (2, 256), endpoint=True))
    found = LevelCounts.from_bytes(counts.to_bytes())
    np.testing.assert_array_equal(found.background, counts.background)
    np.testing.assert_array_equal(found.foreground, counts.foreground)


@pytest.mark.parametrize("data", [b"", b"text", zlib.compress(b"short")])
def test_damaged_counts_are_told(data):
    with pytest.raises(ValueError):
        LevelCounts.from_bytes(data)


@pytest.mark.parametrize("shape", [(0,), (3, 0), (1,), (5,), (1, 70), (13, 7)])
def test_a_histogram_counts_every_level(shape):
    levels = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    expected = [np.count_nonzero(levels == level) for level in range(256)]
    assert histogram(levels).tolist() == expected
    # A part of an array, whose rows do not follow each other.
    assert histogram(levels[..., 1:3]).sum() == levels[..., 1:3].size
