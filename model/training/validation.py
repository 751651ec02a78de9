"""Scores of a network on held-out pairs while it is trained."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from model.metrics.counts import TRUTH_THRESHOLD, count_levels


def evaluate(
    predictor: keras.Model, pairs: Sequence[tuple[np.ndarray, np.ndarray]], batch_size: int
) -> dict[str, float]:
    """Scores predicted maps, as levels from 0 to 255, against masks of the same size.

    Args:
        predictor: Network from pixels (N, S, S, 3) in [0, 255] to maps (N, S, S, 1) in [0, 1].
        pairs: Images uint8 (S, S, 3) and masks uint8 (S, S); at least one pair.
        batch_size: Images in a batch.

    Returns:
        Means over images: ``mae``; ``max_f``, the maximum over all thresholds of the mean F-measure
        with beta squared 0.3 (Achanta et al., CVPR 2009); ``iou`` at a probability of 0.5, which is
        1 where map and mask are both empty.
    """
    counts = []
    for start in range(0, len(pairs), batch_size):
        images, masks = zip(*pairs[start : start + batch_size], strict=True)
        maps = predictor.predict_on_batch(np.stack(images).astype("float32"))
        levels = np.round(np.asarray(maps, "float32")[..., 0] * 255).astype(np.uint8)
        counts += [
            count_levels(level, mask > TRUTH_THRESHOLD)
            for level, mask in zip(levels, masks, strict=True)
        ]
    ious = [count.iou() for count in counts]
    return {
        "mae": float(np.mean([count.mae() for count in counts])),
        "max_f": float(np.mean([count.f_curve() for count in counts], axis=0).max()),
        "iou": float(np.mean([1.0 if iou is None else iou for iou in ious])),
    }
