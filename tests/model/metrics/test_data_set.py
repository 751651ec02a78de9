"""The statistics of a data set: the reference's values, and exactness under any merging."""

import json
import pickle
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.metrics.data_set import DatasetStatistics, merge_all
from model.metrics.pair import compare, describe_mask

GOLDEN = Path(__file__).parents[2] / "data" / "saliency_metrics"
EXPECTED = json.loads((GOLDEN / "expected.json").read_text())
EMPTY = DatasetStatistics.empty()


@cache
def golden_images():
    """Arguments of `add_row` for every golden pair."""
    images = []
    for path in sorted((GOLDEN / "prediction").iterdir()):
        prediction = np.array(Image.open(path))
        truth = np.array(Image.open(GOLDEN / "truth" / path.name)) > 128
        comparison = compare(prediction, truth)
        values, f_curve = comparison.values, comparison.counts.f_curve()
        if not truth.any():
            # Ours differ on purpose; the reference has F-measures of 0.
            values, f_curve = EXPECTED["images"][path.stem], np.zeros(256)
        row = {"key": path.stem, **describe_mask(prediction), **values}
        images.append((row, f_curve, comparison.counts.e_curve()))
    return images


def add_all(images):
    statistics = EMPTY
    for image in images:
        statistics = statistics.add_row(*image)
    return statistics


def test_equals_the_reference_implementations():
    expected = dict(EXPECTED["dataset"])
    # The reference averages values that pass 1, too, as it divides by N - 1.
    e_adaptive = [min(image["e_adaptive"], 1) for image in EXPECTED["images"].values()]
    expected["e_adaptive"] = np.mean(e_adaptive)
    result = add_all(golden_images()).result()
    assert list(result["metrics"]) == list(expected)
    assert result["metrics"] == pytest.approx(expected, abs=1e-6, rel=0)
    assert result["images"] == result["with_truth"] == 32
    rows = [row for row, _, _ in golden_images()]
    assert result["empty_masks"] == sum(row["foreground_fraction"] == 0 for row in rows) > 0
    for key in ("foreground_fraction", "mean_confidence", "uncertain_fraction"):
        assert result[key] == pytest.approx(np.mean([row[key] for row in rows]))
    assert json.loads(json.dumps(result)) == result


@pytest.mark.parametrize("seed", range(6))
def test_any_order_and_grouping_gives_the_identical_result(seed):
    rng = np.random.default_rng(seed)
    images = [golden_images()[i] for i in rng.permutation(len(golden_images()))]
    cuts = np.sort(rng.integers(0, len(images) + 1, 6))
    parts = [add_all(images[a:b]) for a, b in zip([0, *cuts], [*cuts, None], strict=True)]
    while len(parts) > 1:  # a random tree, empty parts included
        right = parts.pop(rng.integers(len(parts)))
        left = parts.pop(rng.integers(len(parts)))
        parts.append(left.merge(right))
    in_order = add_all(golden_images())
    assert parts[0] == in_order
    assert parts[0].result() == in_order.result()


def test_merge_all():
    parts = [add_all(golden_images()[i::3]) for i in range(3)]
    assert merge_all(iter(parts)) == add_all(golden_images())
    assert merge_all([]) == EMPTY


def test_pickles_to_a_size_that_images_do_not_change():
    statistics = add_all(golden_images())
    once = len(pickle.dumps(statistics))
    assert pickle.loads(pickle.dumps(statistics)) == statistics
    many = statistics
    for _ in range(30):  # 2^35 images, past what 64 bits could sum
        many = many.merge(many)
    assert many.images == 2**35
    assert len(pickle.dumps(many)) < 2 * once < 16_000
    small, large = statistics.result(), many.result()
    for key in ("mae", "s_measure", "max_f", "mean_f", "max_e", "mean_e"):
        assert large["metrics"][key] == small["metrics"][key]


def test_curves_are_averaged_before_the_maximum_is_taken():
    row = {**describe_mask(np.zeros((2, 2), np.uint8)), "mae": 0.25}
    first, second = np.zeros(256), np.zeros(256)
    first[10], second[20] = 1.0, 0.5
    metrics = EMPTY.add_row(row, first, second).add_row(row, second, first).result()["metrics"]
    assert metrics["max_f"] == metrics["max_e"] == 0.5
    assert metrics["mean_f"] == metrics["mean_e"] == 0.75 / 256
    assert metrics["mae"] == 0.25
    assert metrics["iou"] is None


def test_averages_leave_out_what_is_none_and_what_has_no_truth():
    description = describe_mask(np.full((2, 2), 255, np.uint8))
    curve = np.ones(256)
    statistics = (
        EMPTY.add_row({**description, "mae": 0.5, "iou": None}, curve, curve)
        .add_row({**description, "mae": 0.25, "iou": 0.75}, curve, curve)
        .add_row(describe_mask(np.zeros((2, 2), np.uint8)))
    )
    result = statistics.result()
    assert (result["images"], result["with_truth"], result["empty_masks"]) == (3, 2, 1)
    assert result["foreground_fraction"] == pytest.approx(2 / 3)
    assert result["metrics"]["images"] == 2
    assert result["metrics"]["mae"] == 0.375
    assert result["metrics"]["iou"] == 0.75
    assert result["metrics"]["max_f"] == 1.0


def test_no_truth_and_no_images():
    result = EMPTY.add_row(describe_mask(np.zeros((2, 2), np.uint8))).result()
    assert "metrics" not in result
    assert result == {
        "images": 1,
        "empty_masks": 1,
        "with_truth": 0,
        "foreground_fraction": 0.0,
        "mean_confidence": 1.0,
        "uncertain_fraction": 0.0,
    }
    assert EMPTY.result() == dict(
        dict.fromkeys(result, 0),
        foreground_fraction=None,
        mean_confidence=None,
        uncertain_fraction=None,
    )
