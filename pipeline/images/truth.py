"""Encoded masks and ground truth to arrays at full size, upright."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

from pipeline.failures import BadImage
from pipeline.images.open_safely import bad_image, opened
from pipeline.images.photo import blocks, gray_levels


def decode_mask(data: bytes) -> np.ndarray:
    """Decodes a saliency map; levels are taken as they are.

    Args:
        data: An encoded image of one of ``FORMATS``.

    Returns:
        uint8 (height, width): probability x 255, upright.

    Raises:
        BadImage: As ``decode.decode_image``.
    """
    with bad_image(), opened(data) as (image, _, turn):
        return _upright(image, gray_levels, turn)


def decode_truth(data: bytes, size: tuple[int, int]) -> np.ndarray:
    """Decodes a ground-truth mask.

    Args:
        data: An encoded image of one of ``FORMATS``. In a map of zeros and ones, ones are
            foreground. A map of other small numbers, or of palette colours, is refused: it holds
            classes.
        size: (width, height) that the mask has to have.

    Returns:
        bool (height, width), true above 128.

    Raises:
        BadImage: As ``decode.decode_image``, or the mask has another size or is neither black and
            white nor zeros and ones.
    """
    with bad_image(), opened(data) as (image, upright, turn):
        if upright != size:
            raise BadImage(
                "truth_size",
                f"the truth has {upright[0]} x {upright[1]} pixels, "
                f"the image {size[0]} x {size[1]}",
            )
        numbers = _holds_numbers(image)
        if image.mode == "P" and not numbers:
            return _upright(image, gray_levels, turn) > 128
        # Before 16 bits become 8, which would turn a faint gray into a label.
        labels = _upright(image, _labels if numbers else gray_levels, turn)
        if labels.max() == 1:
            return labels == 1
        if image.mode == "P" and _is_coloured(image):
            what = "the truth is a map of classes; white, or ones among zeros, would be foreground"
            raise BadImage("truth_values", what)
        gray = _upright(image, gray_levels, turn)
    if labels.max() > 0 and gray.max() <= 128:
        what = f"in 8 bits, the truth is {gray.max()} at most; foreground is over 128"
        raise BadImage("truth_values", what)
    return gray > 128


def _upright(
    image: Image.Image,
    convert: Callable[[Image.Image], np.ndarray],
    turn: Image.Transpose | None,
) -> np.ndarray:
    """The whole image as uint8 (height, width), converted block by block to save memory."""
    gray = np.empty((image.height, image.width), np.uint8)
    for left, top, right, bottom in blocks(image.size, (1, 1)):
        gray[top:bottom, left:right] = convert(image.crop((left, top, right, bottom)))
    return gray if turn is None else np.asarray(Image.fromarray(gray).transpose(turn))


def _labels(block: Image.Image) -> np.ndarray:
    """Pixel numbers clipped to 0, 1 and 2."""
    return np.clip(np.asarray(block), 0, 2).astype(np.uint8)


def _holds_numbers(image: Image.Image) -> bool:
    """Whether pixels are labels rather than colours or 8-bit grays."""
    if image.mode != "P":
        return image.mode.startswith("I")
    # A palette of (nearly) black and white, in either order, says what its two numbers mean.
    palette = image.getpalette() or []
    first, second = sorted((palette[:3], palette[3:6]), key=sum)
    return not (first and second and max(first) < 64 and min(second) >= 192)


def _is_coloured(image: Image.Image) -> bool:
    """Whether pixels use colours of the palette that are clearly not gray."""
    palette = np.reshape(image.getpalette() or [], (-1, 3))
    used = [index for _, index in image.getcolors() if index < len(palette)]
    return bool((np.ptp(palette[used], axis=1) > 32).any())
