import itertools
import math

import numpy as np
import pytest

from model.metrics import spatial
from model.metrics.bits import BitMask
from tests.model.metrics import plain


def boundary_iou(*masks):
    return spatial.boundary_iou(*map(BitMask.of, masks))


def relaxed_boundary_f(*masks):
    return spatial.relaxed_boundary_f(*map(BitMask.of, masks))


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


@pytest.mark.parametrize("seed", range(12))
def test_boundaries_equal_those_of_pixels_compared_one_by_one(seed):
    prediction, truth = plain.random_pair(seed)
    mask = prediction >= 128
    assert boundary_iou(mask, truth) == plain.boundary_iou(mask, truth)
    assert relaxed_boundary_f(mask, truth) == plain.relaxed_boundary_f(mask, truth)
