"""Small photos with their masks drawn over them, for people to look at."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from pipeline.images.open_safely import MAX_PIXELS, opened
from pipeline.images.photo import resized
from pipeline.images.refusals import bad_image

# Most pixels of a side.
SIDE = 1024
QUALITY = 85
# Of the tint, at a probability of 1.
STRENGTH = 0.45
TINT, OUTLINE = (255, 0, 110), (255, 255, 255)
# A probability of 0.5.
_FOREGROUND = 128


def draw_overlay(data: bytes, mask: np.ndarray, max_pixels: int = MAX_PIXELS) -> bytes:
    """A photo with a tint as strong as its mask, and the outline of what is at least 0.5.

    Args:
        data: The encoded photo.
        mask: uint8 (height, width) of the upright photo, probability x 255.
        max_pixels: Most pixels of the photo.

    Returns:
        A JPEG in sRGB, upright, whose longer side has at most ``SIDE`` pixels.

    Raises:
        BadImage: As of ``decode_image``.
    """
    with bad_image(), opened(data, SIDE, max_pixels) as (image, upright, turn):
        size = _fitted(upright)
        is_on_its_side = (
            turn is not None
            and turn >= Image.Transpose.ROTATE_90
            and (turn != Image.Transpose.ROTATE_180)
        )
        small, _ = resized(image, size[::-1] if is_on_its_side else size)
        photo = small if turn is None else small.transpose(turn)
    small_mask = Image.fromarray(mask).resize(size, Image.Resampling.BOX)
    tint = np.asarray(small_mask, np.float32)[..., None] * np.float32(STRENGTH / 255)
    tinted = np.asarray(photo) * (1 - tint) + np.float32(TINT) * tint
    drawn = Image.fromarray(np.rint(tinted).astype(np.uint8))
    foreground = small_mask.point(lambda level: 255 * (level >= _FOREGROUND))
    inside = foreground.filter(ImageFilter.MinFilter(5))
    drawn.paste(OUTLINE, mask=ImageChops.subtract(foreground, inside))
    buffer = io.BytesIO()
    drawn.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def _fitted(size: tuple[int, int]) -> tuple[int, int]:
    """(width, height) with the same ratio, of which the larger is at most ``SIDE``."""
    shrink = max(1.0, max(size) / SIDE)
    width, height = (max(1, round(side / shrink)) for side in size)
    return width, height
