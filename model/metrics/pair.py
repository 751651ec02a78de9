"""The metrics of one image pair: a predicted saliency map and its ground-truth mask.

Throughout, ``prediction`` is uint8 of shape (H, W), probability x 255, used as it is and never
stretched to its own minimum and maximum; ``truth`` is bool of shape (H, W). A binary mask is
``prediction >= 128``, that is a probability of at least 0.5. Metrics lie in [0, 1]; higher is
better except for ``mae``.

Of an empty truth, every measure of overlap (F, IoU, Dice, boundaries) is 1 if the mask is empty,
too, and else 0: a photo without an object counts for as much as any other. The published code gives
F-measures of 0 for both, and leaves IoU undefined. MAE, S-measure and E-measure are as published,
but that an E-measure of more than 1 (it is divided by N - 1) is 1.

``counts`` has the metrics that depend only on how many pixels have which level, ``spatial`` those
that depend on where the pixels are.
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np

from model.metrics.bits import BitMask
from model.metrics.components import count_components
from model.metrics.counts import EPSILON, FOREGROUND_LEVEL, LEVELS, LevelCounts, histogram
from model.metrics.spatial import boundary_iou, bounding_box, relaxed_boundary_f
from model.metrics.weighted_f import weighted_f

_POWERS = np.stack([LEVELS**0, LEVELS, LEVELS**2], axis=1)
_CERTAIN = np.maximum(LEVELS, 255 - LEVELS)


@dataclass(frozen=True, eq=False)
class Comparison:
    """What `compare` measured on one image.

    Attributes:
        values: Metric names to values, in a fixed order; None where a metric is not defined.
        counts: What the curves over the thresholds are made of.
    """

    values: dict[str, float | None]
    counts: LevelCounts


def describe_mask(prediction: np.ndarray) -> dict:
    """Describes a predicted map without any ground truth.

    Args:
        prediction: uint8 (H, W), probability x 255.

    Returns:
        A JSON-ready dict: ``foreground_fraction`` (share of pixels with p >= 0.5),
        ``mean_confidence`` (mean of max(p, 1 - p), in [0.5, 1]), ``uncertain_fraction`` (share
        with 0.1 <= p <= 0.9), ``components`` (8-connected foreground components),
        ``bounding_box`` (``[x, y, width, height]`` of the foreground, or `None`),
        ``touches_border`` and ``empty``.
    """
    counts, size = histogram(prediction), prediction.size
    foreground = int(counts[FOREGROUND_LEVEL:].sum())
    box, touches_border, components = None, False, 0
    if foreground:
        mask = prediction >= FOREGROUND_LEVEL
        rows, columns = bounding_box(mask)
        width, height = columns.stop - columns.start, rows.stop - rows.start
        box = [columns.start, rows.start, width, height]
        first, last = (rows.start, columns.start), (rows.stop, columns.stop)
        touches_border = 0 in first or bool(np.any(np.equal(last, mask.shape)))
        components = count_components(mask[rows, columns])
    return {
        "foreground_fraction": foreground / size,
        "mean_confidence": int(counts @ _CERTAIN) / (255 * size),
        # 0.1 to 0.9 of 255 is 25.5 to 229.5.
        "uncertain_fraction": int(counts[_CERTAIN < 230].sum()) / size,
        "components": components,
        "bounding_box": box,
        "touches_border": touches_border,
        "empty": foreground == 0,
    }


def compare(prediction: np.ndarray, truth: np.ndarray) -> Comparison:
    """Measures a predicted map against its ground truth.

    Adaptive values are those at a threshold of twice the map's mean, at most 1 (Achanta et al.,
    CVPR 2009).

    Args:
        prediction: uint8 (H, W), probability x 255.
        truth: bool (H, W), True on the salient object.

    Returns:
        The metrics by name, and how many pixels have which level.

    Raises:
        ValueError: The shapes differ.
    """
    if prediction.shape != truth.shape:
        raise ValueError(f"prediction has shape {prediction.shape}, truth {truth.shape}")
    quadrants = _quadrant_histograms(prediction, truth)
    counts = LevelCounts(*quadrants.sum(axis=(0, 1)))
    f_curve, e_curve = counts.f_curve(), counts.e_curve()
    adaptive = counts.adaptive_threshold
    masks = BitMask.of(prediction >= FOREGROUND_LEVEL), BitMask.of(truth)
    values = {
        "mae": counts.mae(),
        "s_measure": _s_measure(quadrants),
        "weighted_f": weighted_f(prediction, truth),
        "f_adaptive": float(f_curve[adaptive]),
        "f_mean": float(f_curve.mean()),
        "f_max": float(f_curve.max()),
        "e_adaptive": min(float(e_curve[adaptive]), 1.0),
        "e_mean": min(float(e_curve.mean()), 1.0),
        "e_max": min(float(e_curve.max()), 1.0),
        "iou": counts.iou(),
        "dice": counts.dice(),
        "boundary_iou": boundary_iou(*masks),
        "relaxed_boundary_f": relaxed_boundary_f(*masks),
    }
    return Comparison(values, counts)


def _quadrant_histograms(prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Counts pixels by quadrant around the truth's centroid, by truth and by level.

    The centroid is rounded half to even and belongs to the upper left quadrant, as in the MATLAB
    code of the S-measure's authors. A quadrant may be empty.

    Returns:
        int64 (2, 2, 2, 256): lower half, right half, truth, level.
    """
    per_row, per_column = _count_along(truth)
    positives = max(int(per_row.sum()), 1)
    y = round(int(per_row @ np.arange(per_row.size)) / positives) + 1
    x = round(int(per_column @ np.arange(per_column.size)) / positives) + 1
    counts = []
    for box in itertools.product((slice(y), slice(y, None)), (slice(x), slice(x, None))):
        # Copies whose rows follow each other, which NumPy selects from in half the time.
        levels, is_object = (np.ascontiguousarray(one[box]) for one in (prediction, truth))
        every, inside = histogram(levels), histogram(levels[is_object])
        counts.append([every - inside, inside])
    return np.reshape(counts, (2, 2, 2, 256))


def _count_along(truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Foreground pixels of each row, and of each column, int64."""
    # NumPy's own count along an axis first makes eight bytes of each pixel.
    per_row = np.bitwise_count(np.packbits(truth, axis=1)).sum(axis=1, dtype=np.int64)
    bands = (truth[top : top + 255].view(np.uint8) for top in range(0, len(truth), 255))
    per_column = sum(band.sum(axis=0, dtype=np.uint8).astype(np.int64) for band in bands)
    return per_row, per_column


def _s_measure(quadrants: np.ndarray) -> float:
    """Structure measure with alpha = 0.5 (Fan et al., ICCV 2017).

    It is the mean of two scores. The object score compares mean and spread of the map on the
    foreground and on the background of the truth. The region score is the SSIM of the four
    quadrants around the centroid of the truth, weighted by their area. For an empty or full truth,
    it is the map's mean agreement with the truth.

    Args:
        quadrants: int64 (2, 2, 2, 256), see ``_quadrant_histograms``.
    """
    # Python integers: n * sum(v^2) passes 64 bits on large images.
    moments = (quadrants @ _POWERS).reshape(4, 2, 3).astype(object)
    (outside, low, low_squares), (inside, high, high_squares) = moments.sum(axis=0)
    size = inside + outside
    if inside == 0:
        return 1 - low / (255 * size)
    if outside == 0:
        return high / (255 * size)
    agreement = _object_score(inside, high, high_squares) * inside
    # The background is scored on 1 - p, of the same spread as p.
    inverted_squares = low_squares + 255 * (255 * outside - 2 * low)
    agreement += _object_score(outside, 255 * outside - low, inverted_squares) * outside
    similarity = sum(_ssim(*quadrant) * quadrant[:, 0].sum() for quadrant in moments)
    return max(0.0, 0.5 * (agreement + similarity) / size)


def _object_score(count: int, total: int, squares: int) -> float:
    """Object similarity 2 m / (m^2 + 1 + s) of levels with mean m and sample deviation s."""
    mean = total / (255 * count)
    variance = (count * squares - total * total) / (count * max(count - 1, 1))
    return 2 * mean / (mean * mean + 1 + math.sqrt(variance) / 255)


def _ssim(background: np.ndarray, foreground: np.ndarray) -> float:
    """SSIM of a region, without stabilising constants; 1 where map and truth are both flat.

    Args:
        background: count, sum and sum of squares of the levels where the truth is 0.
        foreground: the same where it is 1.
    """
    count, total, squares = background + foreground
    if count == 0:
        return 0.0
    positives, inner_total, _ = foreground
    pairs = count * max(count - 1, 1)
    x, y = total / (255 * count), positives / count
    variance_x = (count * squares - total * total) / pairs / 255**2
    variance_y = positives * (count - positives) / pairs
    covariance = (count * inner_total - total * positives) / pairs / 255
    spread = (x * x + y * y) * (variance_x + variance_y)
    return 4 * x * y * covariance / (spread + EPSILON) if spread else 1.0
