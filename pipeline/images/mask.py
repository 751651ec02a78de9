"""Saliency maps to masks: at the size of the image, as PNG."""

from __future__ import annotations

import io
import zlib

import numpy as np
from PIL import Image

# Soft masks are long runs of slowly changing bytes. For 1 megapixel, level 6 takes 26 ms for 83 kB,
# level 1 takes 9.3 ms for 115 kB, and looking for runs only takes 9.0 ms for 89 kB.
PNG_LEVEL = 1
PNG_STRATEGY = zlib.Z_RLE
# Pixels of a mask that are made at once: their floats take four to eight times the mask's memory.
BAND = 1 << 20


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
    side, rows = len(probability), max(1, BAND // width)
    small = Image.fromarray(probability)
    mask = np.empty((height, width), np.uint8)
    for top in range(0, height, rows):
        band = mask[top : top + rows]
        # Resize the rows first. Pillow resizes the columns first, so that every row of the map
        # becomes as wide as the image: gigabytes where the image is wide and flat.
        box = (0, side * top / height, side, side * (top + len(band)) / height)
        tall = small.resize((side, len(band)), Image.Resampling.BILINEAR, box)
        full = np.asarray(tall.resize((width, len(band)), Image.Resampling.BILINEAR))
        if threshold is not None:
            np.multiply(full >= threshold, np.uint8(255), out=band)
        else:  # Interpolation leaves [0, 1] by less than what rounding takes away.
            levels = full * np.float32(255)
            band[:] = np.rint(levels, out=levels)
    if threshold is None and mask.max() == 1:
        # Read again, levels of 0 and 1 would be taken for a mask of zeros and ones.
        mask[:] = 0
    return mask


def encode_mask(mask: np.ndarray, binary: bool) -> bytes:
    """Encodes a mask, uint8 (H, W), as PNG of 8 bits, or of one bit if it is binary."""
    image = Image.fromarray(mask)
    buffer = io.BytesIO()
    (image.convert("1") if binary else image).save(
        buffer, "PNG", compress_level=PNG_LEVEL, compress_type=PNG_STRATEGY
    )
    return buffer.getvalue()
