"""The metrics of one image that depend only on how many pixels have which level.

They are exact integer arithmetic on two histograms. Levels are uint8, probability x 255. A mask is
``prediction >= FOREGROUND_LEVEL``, a probability of at least 0.5; a ground truth is
``levels > TRUTH_THRESHOLD``, as the published evaluation code has it.
"""

from __future__ import annotations

import sys
import zlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image

FOREGROUND_LEVEL = 128
TRUTH_THRESHOLD = 128
F_BETA_SQUARED = 0.3

# MATLAB's eps, which the published implementations add to denominators.
EPSILON = sys.float_info.epsilon
LEVELS = np.arange(256)


@dataclass(frozen=True, eq=False)
class LevelCounts:
    """How many pixels of a predicted map have each level.

    Attributes:
        background: int64 (256,), pixels of each level where the truth is background.
        foreground: int64 (256,), pixels of each level where the truth is foreground.
    """

    background: np.ndarray
    foreground: np.ndarray

    @cached_property
    def size(self) -> int:
        """Pixels of the image."""
        return int(self.background.sum()) + self.positives

    @cached_property
    def positives(self) -> int:
        """Foreground pixels of the truth."""
        return int(self.foreground.sum())

    @cached_property
    def hits(self) -> np.ndarray:
        """int64 (256,), foreground pixels of the truth at or above each level."""
        return self.foreground[::-1].cumsum()[::-1]

    @cached_property
    def predicted(self) -> np.ndarray:
        """int64 (256,), pixels at or above each level."""
        return self.hits + self.background[::-1].cumsum()[::-1]

    @cached_property
    def adaptive_threshold(self) -> int:
        """The first level at or above twice the map's mean, at most 255 (Achanta, CVPR 2009).

        Of an empty truth it is at least 1, so that the mask of an empty map is empty.
        """
        total = int((self.foreground + self.background) @ LEVELS)
        level = -(-min(2 * total, 255 * self.size) // self.size)
        return level if self.positives else max(level, 1)

    def to_bytes(self) -> bytes:
        """The counts in a compact form, some 600 bytes for a photo, see ``from_bytes``."""
        counts = np.stack([self.background, self.foreground]).astype("<i8")
        # Bytes of the same weight side by side: the high ones are zeros.
        return zlib.compress(counts.view(np.uint8).reshape(-1, 8).T.tobytes(), 9)

    @classmethod
    def from_bytes(cls, data: bytes) -> LevelCounts:
        """The counts that ``to_bytes`` wrote.

        Raises:
            ValueError: The data are damaged.
        """
        try:
            planes = np.frombuffer(zlib.decompress(data), np.uint8).reshape(8, 2 * LEVELS.size)
        except zlib.error as error:
            raise ValueError(f"counts of levels are damaged: {error}") from error
        return cls(*np.ascontiguousarray(planes.T).view("<i8").reshape(2, LEVELS.size))

    def mae(self) -> float:
        """Mean absolute error of the probabilities, in [0, 1]."""
        error = int(self.foreground @ (255 - LEVELS)) + int(self.background @ LEVELS)
        return error / (255 * self.size)

    def iou(self) -> float:
        """Intersection over union of mask and truth; 1 if both are empty."""
        intersection, area = self._mask()
        union = area + self.positives - intersection
        return intersection / union if union else 1.0

    def dice(self) -> float:
        """Dice coefficient of mask and truth; 1 if both are empty."""
        intersection, area = self._mask()
        both = area + self.positives
        return 2 * intersection / both if both else 1.0

    def f_curve(self) -> np.ndarray:
        """F-measure of the mask at each threshold (Achanta et al., CVPR 2009), float64 (256,).

        (1 + b) P R / (b P + R) with b = 0.3, precision P = hits / predicted and recall
        R = hits / positives, written in counts; 0 without a hit. Of an empty truth it is 1 where
        the mask is empty, too, and else 0.
        """
        if self.positives == 0:
            return (self.predicted == 0).astype(np.float64)
        weighted = F_BETA_SQUARED * self.positives + self.predicted
        # Rounding may pass 1.
        return np.minimum((1 + F_BETA_SQUARED) * self.hits / weighted, 1.0)

    def e_curve(self) -> np.ndarray:
        """Enhanced-alignment measure at each threshold (Fan et al., IJCAI 2018), float64 (256,).

        With both masks binary the alignment takes one value in each of the four cells of their
        confusion matrix, so the sum over pixels is a sum over cells. For an empty or full truth it
        is the share of pixels that agree with the truth. The sum is divided by N - 1 as published,
        for an image of one pixel by 1, so that it may pass 1 by 1 / (N - 1).
        """
        hits, predicted, positives, size = self.hits, self.predicted, self.positives, self.size
        if positives == 0:
            aligned = size - predicted
        elif positives == size:
            aligned = predicted
        else:
            p, t = predicted / size, positives / size
            cells = (
                (hits, 1 - p, 1 - t),
                (predicted - hits, 1 - p, -t),
                (positives - hits, -p, 1 - t),
                (size - predicted - positives + hits, -p, -t),
            )
            aligned = sum(
                count * (2 * a * b / (a * a + b * b + EPSILON) + 1) ** 2 / 4
                for count, a, b in cells
            )
        return aligned / max(size - 1, 1)

    def _mask(self) -> tuple[int, int]:
        """Pixels of the mask that are foreground in the truth, and all of its pixels."""
        return int(self.hits[FOREGROUND_LEVEL]), int(self.predicted[FOREGROUND_LEVEL])


def count_levels(prediction: np.ndarray, truth: np.ndarray) -> LevelCounts:
    """Counts the levels of a predicted map.

    Args:
        prediction: uint8 (H, W), probability x 255.
        truth: bool (H, W), True where the object is.
    """
    every, foreground = histogram(prediction), histogram(prediction[truth])
    return LevelCounts(every - foreground, foreground)


def histogram(levels: np.ndarray) -> np.ndarray:
    """How many numbers of an array, uint8, are 0, 1, ... and 255: int64 (256,)."""
    if not levels.size:
        return np.zeros(LEVELS.size, np.int64)
    # In a third of the time of np.bincount, which first makes eight bytes of each.
    rows = np.ascontiguousarray(np.atleast_2d(levels))
    return np.array(Image.fromarray(rows).histogram(), np.int64)
