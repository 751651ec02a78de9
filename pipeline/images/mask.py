"""Saliency maps to masks: at the size of the image, as PNG."""

from __future__ import annotations

import numpy as np
from PIL import Image

from pipeline.images.gray_png import gray_png

# Columns of a mask that are made at once: those of a map, as wide as the image, could take
# gigabytes where the image is wide and flat.
COLUMNS = 8192


def full_size_mask(
    probability: np.ndarray, size: tuple[int, int], threshold: float | None
) -> np.ndarray:
    """Resizes a map to its image (bilinear).

    Args:
        probability: float32 (S, S) in [0, 1].
        size: (width, height) of the image.
        threshold: Foreground is what reaches it; None keeps probabilities.

    Returns:
        uint8 (height, width): probability x 255, or 0 and 255. A map that nowhere rounds to more
        than level 1 is empty.
    """
    width, height = size
    small, side = Image.fromarray(probability), len(probability)
    mask = np.empty((height, width), np.uint8)
    for left in range(0, width, COLUMNS):
        part = mask[:, left : left + COLUMNS]
        box = (side * left / width, 0, side * (left + part.shape[1]) / width, side)
        # Pillow averages where it makes smaller. To enlarge, it takes four times as long as NumPy.
        wide = small.resize((part.shape[1], min(side, height)), Image.Resampling.BILINEAR, box)
        _enlarge_rows(np.asarray(wide), part, threshold)
    if threshold is None and mask.max() == 1:
        # Read again, levels of 0 and 1 would be taken for a mask of zeros and ones.
        mask[:] = 0
    return mask


def _enlarge_rows(probability: np.ndarray, mask: np.ndarray, threshold: float | None) -> None:
    """Interpolates rows between those of a map, and makes levels of them.

    Args:
        probability: float32 (R, W).
        mask: uint8 (H, W), H at least R: what is written to.
        threshold: As of ``full_size_mask``.
    """
    last = len(probability) - 1
    places = (np.arange(len(mask)) + 0.5) * (len(probability) / len(mask)) - 0.5
    upper = np.clip(places.astype(np.intp), 0, max(last - 1, 0))
    weights = np.clip(places - upper, 0, 1).astype(np.float32)[:, None]
    values = probability if threshold is not None else probability * np.float32(255)
    starts = np.flatnonzero(np.diff(upper, prepend=-1))
    ends = np.append(starts[1:], len(mask))
    # All rows between the same two rows of the map at once, a few, which stay in the cache.
    buffer = np.empty(((ends - starts).max(), mask.shape[1]), np.float32)
    for start, end in zip(starts, ends, strict=True):
        above, below = values[upper[start]], values[min(upper[start] + 1, last)]
        full = buffer[: end - start]
        # Where both are equal, so is the result.
        np.multiply(below - above, weights[start:end], out=full)
        full += above
        if threshold is not None:
            np.multiply(full >= threshold, np.uint8(255), out=mask[start:end])
        else:  # Interpolation leaves [0, 1] by less than what rounding takes away.
            mask[start:end] = np.rint(full, out=full)


def encode_mask(mask: np.ndarray, binary: bool) -> bytes:
    """Encodes a mask, uint8 (H, W), as PNG of 8 bits, or of one bit if it is binary."""
    return gray_png(mask, one_bit=binary)
