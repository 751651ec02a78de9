import itertools
import math

import numpy as np
import pytest

from model.metrics.spatial import boundary_iou, dilate, erode, relaxed_boundary_f, weighted_f


@pytest.mark.parametrize("radius", range(1, 6))
@pytest.mark.parametrize("shape", [(11, 13), (2, 9), (1, 1)])
def test_erosion_equals_repeated_small_ones(radius, shape):
    mask = np.random.default_rng(radius).random(shape) < 0.97
    expected = mask
    for _ in range(radius):
        padded = np.pad(expected, 1)
        expected = np.array(
            [[padded[y : y + 3, x : x + 3].all() for x in range(shape[1])] for y in range(shape[0])]
        )
    np.testing.assert_array_equal(erode(mask, radius), expected)


@pytest.mark.parametrize("shape", [(1, 10**7), (10**7, 1)])
def test_a_thin_mask_erodes_to_nothing_at_no_cost(shape):
    # With margins on all sides it would have 10^14 pixels.
    assert not erode(np.ones(shape, bool), 10**5).any()


def test_boundary_width_is_two_percent_of_the_diagonal():
    # A 90 x 120 image has a diagonal of 150 pixels, so a boundary of 3.
    truth = np.zeros((90, 120), bool)
    truth[20:60, 20:80] = True
    prediction = truth.copy()
    prediction[23:57, 23:77] = False
    assert boundary_iou(prediction, truth) == 1.0
    prediction[22, 40] = False
    assert boundary_iou(prediction, truth) < 1.0
    assert boundary_iou(np.zeros_like(truth), np.zeros_like(truth)) == 1.0


def test_disk_reaches_exactly_its_radius():
    mask = np.zeros((9, 9), bool)
    mask[4, 4] = True
    expected = [[math.hypot(y - 4, x - 4) <= 3 for x in range(9)] for y in range(9)]
    np.testing.assert_array_equal(dilate(mask, 3), expected)


@pytest.mark.parametrize("seed", range(4))
def test_relaxed_boundary_f_equals_pairwise_distances(seed):
    rng = np.random.default_rng(seed)
    masks = [rng.random((12, 15)) < share for share in (0.04, 0.1)]
    prediction, truth = ([tuple(point) for point in np.argwhere(mask)] for mask in masks)
    near = [(p, t) for p, t in itertools.product(prediction, truth) if math.dist(p, t) <= 3]
    precision = len({p for p, _ in near}) / len(prediction)
    recall = len({t for _, t in near}) / len(truth)
    # So sparse that every pixel is its own boundary.
    expected = 1.3 * precision * recall / (0.3 * precision + recall)
    assert relaxed_boundary_f(*masks) == pytest.approx(expected)


def test_relaxed_boundary_f_without_boundaries():
    some, none = np.eye(3, dtype=bool), np.zeros((3, 3), bool)
    assert relaxed_boundary_f(some, none) == 0.0
    assert relaxed_boundary_f(none, none) == 1.0
    assert relaxed_boundary_f(none, some) == 0.0


@pytest.mark.parametrize(("start", "stop"), [(0, 4), (300, 309), (695, 700)])
def test_weighted_f_far_from_the_object(start, stop):
    # One row, so that the nearest pixel of the object is plain; longer than the discount reaches.
    rng = np.random.default_rng(start)
    prediction = rng.integers(0, 256, (1, 700), dtype=np.uint8)
    prediction[0, :100] = 0
    truth = np.zeros((1, 700), bool)
    truth[0, start:stop] = True
    error = np.abs(prediction[0] / 255 - truth[0])
    kernel = [[math.exp(-(x * x + y * y) / 50) for x in range(-3, 4)] for y in range(-3, 4)]
    middle = np.array(kernel[3]) / np.sum(kernel)
    inside = outside = 0.0
    for x in range(700):
        if start <= x < stop:
            window = [i for i in range(x - 3, x + 4) if 0 <= i < 700]
            blurred = sum(middle[i - x + 3] * error[min(max(i, start), stop - 1)] for i in window)
            inside += min(error[x], blurred)
        else:
            distance = max(start - x, x - stop + 1)
            outside += error[x] * (2 - 0.5 ** (distance / 5))
    recall = 1 - inside / (stop - start)
    hits = recall * (stop - start)
    precision = hits / (hits + outside)
    expected = 2 * precision * recall / (precision + recall)
    assert weighted_f(prediction, truth) == pytest.approx(expected, rel=1e-12)
