"""The metrics of one image that depend on where its pixels are, such as those of boundaries.

Predictions are uint8 (H, W), probability x 255; masks are bool (H, W). Everything outside the image
counts as background.
"""

import math
import sys

import numpy as np
from scipy import ndimage

RELAXED_RADIUS = 3  # pixels, Euclidean
RELAXED_BETA_SQUARED = 0.3
BOUNDARY_WIDTH = 0.02  # of the image diagonal

_EPSILON = sys.float_info.epsilon
_BLUR_RADIUS = 3
_BLUR = np.exp(-(np.arange(-_BLUR_RADIUS, _BLUR_RADIUS + 1) ** 2) / (2 * 5**2))
_BLUR /= _BLUR.sum()
_HALF_LIFE = 5  # pixels over which the discount on a false positive halves
_REACH = 53 * _HALF_LIFE  # from here on the discount, 2^-53, is lost in float64


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


def weighted_f(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Weighted F-measure with beta^2 = 1 (Margolin et al., CVPR 2014).

    Inside the object, an error is replaced by the Gaussian mean of the errors around it if that is
    smaller (7 x 7, sigma 5; a pixel outside the object has the error of the nearest pixel of the
    object). Outside, an error is weighted with 2 - 2^(-d / 5), d its distance to the object.

    Args:
        prediction: uint8 (H, W), probability x 255.
        truth: bool (H, W).

    Returns:
        The measure. For an empty truth it is 1 if the map is 0 everywhere, and else 0.
    """
    positives = _count(truth)
    if positives == 0:
        return float(not prediction.any())
    outside_error = int((prediction * ~truth).sum()) / 255

    # The distance transform takes most of the time. Crop to the pixels that need it: those with an
    # error, and close enough for a discount. The margin keeps the window of the blur whole.
    near = bounding_box(truth, _REACH)
    prediction, truth = prediction[near], truth[near]
    active = bounding_box(truth | (prediction > 0), _BLUR_RADIUS)
    prediction, truth = prediction[active], truth[active]
    error = np.where(truth, 255 - prediction, prediction) / 255
    nearest = ndimage.distance_transform_edt(~truth, return_distances=False, return_indices=True)

    close = bounding_box(truth, _BLUR_RADIUS)
    blurred = error[nearest[0][close], nearest[1][close]]
    for axis in (0, 1):
        blurred = ndimage.correlate1d(blurred, _BLUR, axis, mode="constant")
    inside = truth[close]
    inside_error = np.minimum(blurred, error[close])[inside].sum()

    down = nearest[0] - np.arange(truth.shape[0], dtype=np.float64)[:, None]
    right = nearest[1] - np.arange(truth.shape[1], dtype=np.float64)
    discount = np.exp2(np.sqrt(down * down + right * right) / -_HALF_LIFE)
    # A dot product would depend on the threads of BLAS in its last digits.
    false_positive = 2 * outside_error - (error * discount).sum(where=~truth)

    recall = max(1 - inside_error / positives, 0.0)
    true_positive = recall * positives
    precision = true_positive / (true_positive + false_positive + _EPSILON)
    return float(2 * recall * precision / (recall + precision + _EPSILON))


def boundary_iou(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Boundary IoU (Cheng et al., CVPR 2021): the IoU of the masks' inner boundaries.

    The boundary is what an erosion by 2 % of the image diagonal, at least one pixel, removes.

    Args:
        prediction: bool (H, W).
        truth: bool (H, W).

    Returns:
        The IoU; 1 if both masks are empty.
    """
    width = max(1, round(BOUNDARY_WIDTH * math.hypot(*truth.shape)))
    predicted, actual = (mask & ~erode(mask, width) for mask in (prediction, truth))
    union = _count(predicted | actual)
    return _count(predicted & actual) / union if union else 1.0


def relaxed_boundary_f(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Relaxed boundary F-measure, beta^2 = 0.3, as Qin et al. report it for BASNet (CVPR 2019).

    Boundaries are one pixel wide; a pixel is right if it is within 3 pixels of the other boundary.

    Args:
        prediction: bool (H, W).
        truth: bool (H, W).

    Returns:
        The measure; 1 if both masks are empty, 0 if one of them is.
    """
    predicted, actual = (mask & ~erode(mask, 1) for mask in (prediction, truth))
    predicted_size, actual_size = _count(predicted), _count(actual)
    if actual_size == 0 or predicted_size == 0:
        return float(actual_size == predicted_size)
    precision = _count(predicted & dilate(actual, RELAXED_RADIUS)) / predicted_size
    recall = _count(actual & dilate(predicted, RELAXED_RADIUS)) / actual_size
    weighted = RELAXED_BETA_SQUARED * precision + recall
    return (1 + RELAXED_BETA_SQUARED) * precision * recall / weighted if weighted else 0.0


def erode(mask: np.ndarray, radius: int) -> np.ndarray:
    """Erodes by a square of side 2 * radius + 1, the same as ``radius`` erosions by 3 x 3.

    Args:
        mask: bool (H, W).
        radius: In pixels, at least 1.

    Returns:
        bool (H, W).
    """
    if 2 * radius >= min(mask.shape):
        # Nothing is left. Padding a long thin image by this radius could take gigabytes.
        return np.zeros_like(mask)
    eroded = np.pad(mask, radius)
    for _ in range(2):
        # The AND over a window is the AND of two half-size windows, so windows double each time.
        span, side = 1, 2 * radius + 1
        while span < side:
            step = min(span, side - span)
            eroded = eroded[:-step] & eroded[step:]
            span += step
        eroded = eroded.T
    return eroded


def dilate(mask: np.ndarray, radius: int) -> np.ndarray:
    """Dilates by a disk: True within ``radius`` pixels, Euclidean, of a True.

    Args:
        mask: bool (H, W).
        radius: In pixels. The time grows with its square.

    Returns:
        bool (H, W).
    """
    height, width = mask.shape
    padded = np.pad(mask, radius)
    dilated = np.zeros_like(mask)
    for y, x in np.ndindex(2 * radius + 1, 2 * radius + 1):
        if (y - radius) ** 2 + (x - radius) ** 2 <= radius**2:
            dilated |= padded[y : y + height, x : x + width]
    return dilated


def _count(mask: np.ndarray) -> int:
    return int(np.count_nonzero(mask))
