"""Measures of a pair as their papers define them, on whole images, and pairs to compare them on."""

import math

import numpy as np
from scipy import ndimage

SHAPES = [(1, 1), (1, 90), (90, 1), (7, 9), (70, 11), (11, 70), (64, 64), (65, 129), (97, 83)]


def random_pair(seed):
    """A map and a truth of some size, of any kind that jobs see."""
    rng = np.random.default_rng(seed)
    shape = SHAPES[seed % len(SHAPES)]
    share = (0.5, 0.02, 0.97, 0, 1)[seed % 5]
    truth = rng.random(shape) < share
    if seed % 2:
        truth = ndimage.gaussian_filter(rng.random(shape), 4) > 0.52 - 0.05 * share
    prediction = rng.integers(0, 256, shape, dtype=np.uint8)
    kind = seed % 4
    if kind == 1:  # As of a good network: soft at the edges, and a little beside the object.
        soft = 255 * ndimage.gaussian_filter(truth.astype(float), 2)
        prediction = np.rint(soft).astype(np.uint8) + (rng.random(shape) < 0.01)
    elif kind == 2:
        prediction[:] = rng.choice([0, 1, 200, 255])
    elif kind == 3:
        prediction = np.where(rng.random(shape) < 0.9, np.uint8(254) * truth, prediction)
    return prediction.astype(np.uint8), truth


def weighted_f(prediction, truth):
    if not truth.any():
        return float(not prediction.any())
    error = np.where(truth, 255 - prediction, prediction) / 255
    distance, nearest = ndimage.distance_transform_edt(~truth, return_indices=True)
    offsets = np.arange(-3, 4)
    kernel = np.exp(-(offsets**2 + offsets[:, None] ** 2) / 50)
    of_object = error[tuple(nearest)]
    blurred = ndimage.correlate(of_object, kernel / kernel.sum(), mode="constant")
    inside = np.minimum(error, blurred)[truth].sum()
    outside = (error * (2 - 0.5 ** (distance / 5)))[~truth].sum()
    recall = 1 - inside / truth.sum()
    hits = recall * truth.sum()
    if hits <= 0:
        return 0.0
    precision = hits / (hits + outside)
    return 2 * recall * precision / (recall + precision)


def boundary(mask, width):
    return mask & ~ndimage.binary_erosion(mask, np.ones((3, 3)), iterations=width)


def near(mask, radius):
    return ndimage.distance_transform_edt(~mask) <= radius if mask.any() else mask


def boundary_iou(mask, truth):
    width = max(1, round(0.02 * math.hypot(*truth.shape)))
    first, second = boundary(mask, width), boundary(truth, width)
    union = (first | second).sum()
    return (first & second).sum() / union if union else 1.0


def relaxed_boundary_f(mask, truth):
    first, second = boundary(mask, 1), boundary(truth, 1)
    if not first.any() or not second.any():
        return float(first.any() == second.any())
    precision = (first & near(second, 3)).sum() / first.sum()
    recall = (second & near(first, 3)).sum() / second.sum()
    both = 0.3 * precision + recall
    return 1.3 * precision * recall / both if both else 0.0
