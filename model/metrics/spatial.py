"""The metrics of one image's boundaries. Everything outside the image counts as background."""

import math

import numpy as np

from model.metrics.bits import BitMask

RELAXED_RADIUS = 3  # pixels, Euclidean
RELAXED_BETA_SQUARED = 0.3
BOUNDARY_WIDTH = 0.02  # of the image diagonal


def bounding_box(mask: np.ndarray, margin: int = 0) -> tuple[slice, slice]:
    """Returns the smallest range of rows and of columns that holds all of a mask.

    Args:
        mask: bool (H, W) with at least one True.
        margin: Pixels added on each side, up to the edge of the image.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return tuple(
        slice(max(int(line[0]) - margin, 0), min(int(line[-1]) + 1 + margin, length))
        for line, length in zip((rows, columns), mask.shape, strict=True)
    )


def boundary_iou(prediction: BitMask, truth: BitMask) -> float:
    """Boundary IoU (Cheng et al., CVPR 2021): the IoU of the masks' inner boundaries.

    The boundary is what an erosion by 2 % of the image diagonal, at least one pixel, removes.

    Args:
        prediction: The mask.
        truth: As large.

    Returns:
        The IoU; 1 if both masks are empty.
    """
    width = max(1, round(BOUNDARY_WIDTH * math.hypot(*truth.shape)))
    predicted, actual = prediction.boundary(width), truth.boundary(width)
    union = (predicted | actual).count()
    return (predicted & actual).count() / union if union else 1.0


def relaxed_boundary_f(prediction: BitMask, truth: BitMask) -> float:
    """Relaxed boundary F-measure, beta^2 = 0.3, as Qin et al. report it for BASNet (CVPR 2019).

    Boundaries are one pixel wide; a pixel is right if it is within 3 pixels of the other boundary.

    Args:
        prediction: The mask.
        truth: As large.

    Returns:
        The measure; 1 if both masks are empty, 0 if one of them is.
    """
    predicted, actual = prediction.boundary(1), truth.boundary(1)
    predicted_size, actual_size = predicted.count(), actual.count()
    if actual_size == 0 or predicted_size == 0:
        return float(actual_size == predicted_size)
    near_actual, near_predicted = (one.dilated(RELAXED_RADIUS**2) for one in (actual, predicted))
    precision = (predicted & near_actual).count() / predicted_size
    recall = (actual & near_predicted).count() / actual_size
    weighted = RELAXED_BETA_SQUARED * precision + recall
    return (1 + RELAXED_BETA_SQUARED) * precision * recall / weighted if weighted else 0.0
