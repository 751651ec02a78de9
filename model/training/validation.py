"""How good a network is while it is trained."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np


def evaluate(
    predictor: keras.Model, pairs: Sequence[tuple[np.ndarray, np.ndarray]], batch_size: int
) -> dict[str, float]:
    """Scores the refined map on held-out pairs, at the size that they are given in.

    Args:
        predictor: pixels (N, S, S, 3) in [0, 255] to maps (N, S, S, 1) in [0, 1].
        pairs: images uint8 (S, S, 3) and masks uint8 (S, S), at least one.
        batch_size: images in a batch.

    Returns:
        `mae`; `max_f`, the maximum over 256 thresholds of the image-averaged F-measure with beta
        squared 0.3 (Achanta et al., CVPR 2009); `iou` at threshold 0.5, averaged over images.
    """
    errors, curves, ious = [], [], []
    for start in range(0, len(pairs), batch_size):
        images, masks = zip(*pairs[start : start + batch_size], strict=True)
        maps = predictor.predict_on_batch(np.stack(images).astype("float32"))
        for probability, mask in zip(np.asarray(maps, "float32")[..., 0], masks, strict=True):
            truth = mask > 127
            errors.append(np.abs(probability - truth).mean())
            levels = np.round(probability * 255).astype(int)
            # Pixels at or above each level, counted from the top.
            found = np.bincount(levels[truth], minlength=256)[::-1].cumsum()
            marked = np.bincount(levels.ravel(), minlength=256)[::-1].cumsum()
            precision = found / np.maximum(marked, 1)
            recall = found / max(1, truth.sum())
            curves.append(1.3 * precision * recall / np.maximum(0.3 * precision + recall, 1e-9))
            union = (truth | (levels > 127)).sum()
            ious.append((truth & (levels > 127)).sum() / union if union else 1.0)
    return {
        "mae": float(np.mean(errors)),
        "max_f": float(np.mean(curves, axis=0).max()),
        "iou": float(np.mean(ious)),
    }
