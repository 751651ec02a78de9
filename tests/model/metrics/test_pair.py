"""The metrics of one image pair, against another implementation and against plain loops."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.metrics.pair import _quadrant_histograms, compare, describe_mask
from tests.model.metrics import plain

GOLDEN = Path(__file__).parents[2] / "data" / "saliency_metrics"
EXPECTED = json.loads((GOLDEN / "expected.json").read_text())["images"]


# Measures that the papers define for a truth without foreground.
DEFINED_WITHOUT_OBJECT = ("mae", "s_measure", "e_adaptive", "e_mean", "e_max")


def read_pair(name):
    prediction = np.array(Image.open(GOLDEN / "prediction" / f"{name}.png"))
    return prediction, np.array(Image.open(GOLDEN / "truth" / f"{name}.png")) > 128


def random_pair(seed, shape, share=0.4):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, shape, dtype=np.uint8), rng.random(shape) < share


@pytest.mark.parametrize("name", EXPECTED)
def test_equals_the_reference_implementations(name):
    prediction, truth = read_pair(name)
    values = compare(prediction, truth).values
    assert list(values) == list(EXPECTED[name])
    for key, expected in EXPECTED[name].items():
        if not truth.any() and key not in DEFINED_WITHOUT_OBJECT:
            continue
        assert type(values[key]) is float
        # The reference passes 1, as it divides by N - 1.
        assert values[key] == pytest.approx(min(expected, 1), abs=1e-6, rel=0), key


@pytest.mark.parametrize(("level", "overlap"), [(0, 1.0), (200, 0.0)])
def test_without_an_object_every_overlap_is_one_for_an_empty_mask_and_zero_for_another(
    level, overlap
):
    prediction, truth = np.zeros((9, 8), np.uint8), np.zeros((9, 8), bool)
    prediction[2:6, 3:7] = level
    values = compare(prediction, truth).values
    for key in ("weighted_f", "f_adaptive", "iou", "dice", "boundary_iou", "relaxed_boundary_f"):
        assert values[key] == overlap, key
    # Above the map's levels the mask is empty.
    assert values["f_max"] == 1.0


def test_hand_computed_pair():
    prediction = np.array([[255, 0], [0, 0]], np.uint8)
    truth = np.array([[True, True], [False, False]])
    values = compare(prediction, truth).values
    # The mean is 1/4, the adaptive threshold 1/2: precision 1, recall 1/2.
    expected = {"mae": 1 / 4, "iou": 1 / 2, "dice": 2 / 3, "boundary_iou": 1 / 2}
    expected |= {"f_adaptive": 1.3 * 0.5 / (0.3 + 0.5), "relaxed_boundary_f": 1.0}
    assert {key: values[key] for key in expected} == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(4))
def test_curves_are_the_measures_of_every_thresholded_mask(seed):
    prediction, truth = random_pair(seed, (5, 7))
    comparison = compare(prediction, truth)
    assert comparison.counts.f_curve().dtype == comparison.counts.e_curve().dtype == np.float64
    assert comparison.counts.f_curve().shape == comparison.counts.e_curve().shape == (256,)
    for threshold in range(256):
        mask = prediction >= threshold
        hits, f = (mask & truth).sum(), 0.0
        if hits:
            precision, recall = hits / mask.sum(), hits / truth.sum()
            f = 1.3 * precision * recall / (0.3 * precision + recall)
        a, b = mask - mask.mean(), truth - truth.mean()
        alignment = 2 * a * b / (a * a + b * b)
        assert comparison.counts.f_curve()[threshold] == pytest.approx(f)
        assert comparison.counts.e_curve()[threshold] == pytest.approx(
            ((alignment + 1) ** 2 / 4).sum() / 34
        )


def test_curves_do_not_depend_on_where_pixels_are():
    prediction, truth = random_pair(0, (6, 10))
    order = np.random.default_rng(1).permutation(60)
    shuffled = compare(
        prediction.ravel()[order].reshape(4, 15), truth.ravel()[order].reshape(4, 15)
    )
    original = compare(prediction, truth)
    np.testing.assert_array_equal(shuffled.counts.f_curve(), original.counts.f_curve())
    np.testing.assert_array_equal(shuffled.counts.e_curve(), original.counts.e_curve())
    assert shuffled.values["weighted_f"] != pytest.approx(original.values["weighted_f"])


def test_adaptive_threshold_is_met_by_pixels_equal_to_it():
    prediction = np.array([[100, 0]], np.uint8)  # twice the mean is exactly 100 / 255
    assert compare(prediction, np.array([[True, False]])).values["f_adaptive"] == 1.0


@pytest.mark.parametrize("corner", [(slice(2), slice(3)), (slice(6, None), slice(8, None))])
def test_perfect_prediction_scores_one(corner):
    truth = np.zeros((9, 12), bool)
    truth[corner] = True
    values = compare(truth.astype(np.uint8) * 255, truth).values
    assert values.pop("mae") == 0
    # The curves' first point is the all-foreground mask.
    size = truth.size
    all_foreground = 1.3 * truth.sum() / (0.3 * truth.sum() + size)
    assert values.pop("f_mean") == pytest.approx((255 + all_foreground) / 256)
    assert values.pop("e_mean") == pytest.approx(min(1, (255 * size + size / 4) / 256 / (size - 1)))
    assert values == pytest.approx(dict.fromkeys(values, 1.0))


def test_symmetric_metrics_on_two_binary_masks():
    _, first = random_pair(0, (9, 8))
    _, second = random_pair(1, (9, 8), share=0.7)
    one = compare(first.astype(np.uint8) * 255, second).values
    other = compare(second.astype(np.uint8) * 255, first).values
    for key in ("mae", "iou", "dice", "boundary_iou"):
        assert one[key] == other[key]
    assert one["f_adaptive"] != other["f_adaptive"]


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (1, 9), (9, 1), (2, 2), (3, 5)])
@pytest.mark.parametrize("level", [0, 77, 128, 255])
@pytest.mark.parametrize("truth_kind", ["empty", "full", "first", "last"])
def test_degenerate_pairs_are_defined(shape, level, truth_kind):
    truth = np.full(shape, truth_kind == "full")
    if truth_kind in ("first", "last"):
        truth.flat[0 if truth_kind == "first" else -1] = True
    with np.errstate(all="raise"):
        comparison = compare(np.full(shape, level, np.uint8), truth)
        description = describe_mask(np.full(shape, level, np.uint8))
    json.dumps(description, allow_nan=False)
    assert all(0 <= value <= 1 for value in comparison.values.values())
    if truth.all() or not truth.any():
        agreement = level / 255 if truth.all() else 1 - level / 255
        assert comparison.values["s_measure"] == pytest.approx(agreement)


def test_s_measure_of_a_centroid_in_the_last_column():
    # Both right quadrants are empty; left of the centroid are one foreground pixel and two more.
    prediction, truth = np.array([[51, 51, 255]], np.uint8), np.array([[False, False, True]])
    background = 2 * 0.8 / (0.8**2 + 1)
    objects = (1 * 1 + background * 2) / 3
    x, y, variance_x, variance_y, covariance = 1.4 / 3, 1 / 3, 0.64 / 3, 1 / 3, 0.8 / 3
    region = 4 * x * y * covariance / ((x**2 + y**2) * (variance_x + variance_y))
    expected = (objects + region) / 2
    assert compare(prediction, truth).values["s_measure"] == pytest.approx(expected)


@pytest.mark.parametrize("level", [77, 110, 201])
def test_s_measure_takes_flat_regions_as_flat_whatever_their_level(level):
    # Map and truth are flat in each of the four quadrants; rounding of a mean must not hide it.
    truth = np.zeros((20, 13), bool)
    truth[0, 0] = True
    p, q = level / 255, 1 - level / 255
    objects = (2 * p / (p * p + 1) + 2 * q / (q * q + 1) * 259) / 260
    score = compare(np.full(truth.shape, level, np.uint8), truth).values["s_measure"]
    assert score == pytest.approx((objects + 1) / 2)


def test_differing_shapes_are_named():
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(3, 2\)"):
        compare(np.zeros((2, 3), np.uint8), np.zeros((3, 2), bool))


def flood_fill(mask):
    todo, components = set(map(tuple, np.argwhere(mask))), 0
    while todo:
        components += 1
        stack = [todo.pop()]
        while stack:
            y, x = stack.pop()
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & todo
            todo -= near
            stack.extend(near)
    return components


@pytest.mark.parametrize("seed", range(12))
def test_description_equals_plain_loops(seed):
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 12, 2)
    prediction = rng.integers(0, rng.integers(130, 257), (height, width), dtype=np.uint8)
    prediction[rng.random((height, width)) < 0.5] //= 2
    pixels = [int(value) for value in prediction.flat]
    ys, xs = np.nonzero(prediction >= 128)
    box = [min(xs), min(ys), max(xs) - min(xs) + 1, max(ys) - min(ys) + 1] if xs.size else None
    border = bool({0, height - 1} & set(ys) or {0, width - 1} & set(xs))
    description = describe_mask(prediction)
    assert description == {
        "foreground_fraction": pytest.approx(len(xs) / len(pixels)),
        "mean_confidence": pytest.approx(sum(max(v, 255 - v) for v in pixels) / 255 / len(pixels)),
        "uncertain_fraction": pytest.approx(
            sum(0.1 <= v / 255 <= 0.9 for v in pixels) / len(pixels)
        ),
        "components": flood_fill(prediction >= 128),
        "bounding_box": box,
        "touches_border": border,
        "empty": not xs.size,
    }
    assert json.loads(json.dumps(description)) == description


@pytest.mark.parametrize("side", ["top", "bottom", "left", "right", None])
def test_touching_one_border(side):
    prediction = np.zeros((5, 6), np.uint8)
    y = {"top": 0, "bottom": 4}.get(side, 2)
    x = {"left": 0, "right": 5}.get(side, 3)
    prediction[y, x] = 128
    description = describe_mask(prediction)
    assert description["touches_border"] == (side is not None)
    assert description["bounding_box"] == [x, y, 1, 1]
    assert description["uncertain_fraction"] == 1 / 30


@pytest.mark.parametrize(("level", "uncertain"), [(25, 0), (26, 1), (229, 1), (230, 0)])
def test_uncertain_is_between_a_tenth_and_nine_tenths(level, uncertain):
    assert describe_mask(np.full((2, 2), level, np.uint8))["uncertain_fraction"] == uncertain


def test_diagonal_neighbours_are_one_component():
    assert describe_mask(np.eye(4, dtype=np.uint8) * 200)["components"] == 1


@pytest.mark.parametrize("seed", range(27))
def test_quadrants_hold_each_pixel_by_truth_and_level(seed):
    prediction, truth = plain.random_pair(seed)
    if seed % 3 == 0:  # Counts of rows and columns that do not fit a byte.
        prediction, truth = np.tile(prediction, (40, 3)), np.tile(truth, (40, 3))
    rows, columns = np.nonzero(truth)
    y, x = (round(int(one.sum()) / max(one.size, 1)) for one in (rows, columns))
    found = _quadrant_histograms(prediction, truth)
    for lower, right in np.ndindex(2, 2):
        box = tuple(
            slice(middle + 1, None) if beyond else slice(middle + 1)
            for middle, beyond in ((y, lower), (x, right))
        )
        for inside in (0, 1):
            levels = prediction[box][truth[box] == inside]
            expected = np.bincount(levels, minlength=256)
            np.testing.assert_array_equal(found[lower, right, inside], expected)
