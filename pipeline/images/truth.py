"""Masks and ground truth to arrays, as large as they are: upright, gray or black and white."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

from pipeline.failures import BadImage
from pipeline.images.open_safely import bad_image, opened
from pipeline.images.photo import blocks, gray_levels


def decode_mask(data: bytes) -> np.ndarray:
    """Decodes a saliency map as it is.

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
        data: An encoded image of one of ``FORMATS``. One of zeros and ones only is a label map,
            whose ones are foreground; one of other small numbers, or of a palette of colours, says
            nothing of salience.
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
        # Looked at before 16 bits become 8, which would make a label of a faint gray.
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
    """uint8 (height, width) of the whole image, converted block by block."""
    gray = np.empty((image.height, image.width), np.uint8)
    for left, top, right, bottom in blocks(image.size, (1, 1)):
        gray[top:bottom, left:right] = convert(image.crop((left, top, right, bottom)))
    return gray if turn is None else np.asarray(Image.fromarray(gray).transpose(turn))


def _labels(block: Image.Image) -> np.ndarray:
    """0, 1, or 2 for all numbers above."""
    return np.clip(np.asarray(block), 0, 2).astype(np.uint8)


def _holds_numbers(image: Image.Image) -> bool:
    """Whether pixels are numbers of things rather than colours or 8-bit grays."""
    if image.mode != "P":
        return image.mode.startswith("I")
    # A palette of black and white, or nearly, says what its numbers mean, in whichever order.
    palette = image.getpalette() or []
    first, second = sorted((palette[:3], palette[3:6]), key=sum)
    return not (first and second and max(first) < 64 and min(second) >= 192)


def _is_coloured(image: Image.Image) -> bool:
    """Whether pixels have colours of the palette that are not grays, but for rounding."""
    palette = np.reshape(image.getpalette() or [], (-1, 3))
    used = [index for _, index in image.getcolors() if index < len(palette)]
    return bool((np.ptp(palette[used], axis=1) > 32).any())
