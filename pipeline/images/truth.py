"""Encoded masks and ground truth to arrays at full size, upright."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

from model.metrics.counts import TRUTH_THRESHOLD
from pipeline.failures import BadImage
from pipeline.images.mask_channel import mask_channel
from pipeline.images.open_safely import MAX_PIXELS, opened
from pipeline.images.refusals import bad_image

# Maps of classes have fewer, but for the 255 of pixels to ignore.
_CLASSES = 64
# Pixels that are converted at once.
_BAND = 1 << 18


def decode_mask(data: bytes, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Decodes a saliency map; levels are taken as they are.

    Args:
        data: An encoded image of one of ``FORMATS``. Where transparency varies, it is the map, as
            in the cutouts of background removers.
        max_pixels: Most pixels of an image.

    Returns:
        uint8 (height, width): probability x 255, upright.

    Raises:
        BadImage: As ``photo.decode_image``; or the image is coloured, or holds zeros and ones,
            which as probabilities would be nothing.
    """
    with bad_image(), opened(data, None, max_pixels) as (image, _, turn):
        levels = _upright(image, mask_channel(image, "mask"), turn)
    if levels.max() == 1:
        raise BadImage(
            "mask_values", "the mask holds zeros and ones; save the foreground as 255 instead of 1"
        )
    return levels


def decode_truth(data: bytes, size: tuple[int, int], max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Decodes a ground-truth mask.

    Args:
        data: An encoded image of one of ``FORMATS``. In a map of zeros and ones, ones are
            foreground. Where transparency varies, it is the mask. Maps of classes are refused:
            other small numbers, small numbers beside 255 (which means "ignore"), colours.
        size: (width, height) that the mask has to have.
        max_pixels: Most pixels of an image.

    Returns:
        bool (height, width), true above 128.

    Raises:
        BadImage: As ``photo.decode_image``, or the mask has another size or says nothing of
            foreground.
    """
    with bad_image(), opened(data, None, max_pixels) as (image, upright, turn):
        if upright != size:
            raise BadImage(
                "truth_size",
                f"the truth has {upright[0]} x {upright[1]} pixels, "
                f"the image {size[0]} x {size[1]}",
            )
        channel = mask_channel(image, "truth")
        numbers = _holds_numbers(image)
        if image.mode == "P" and not numbers:
            return _upright(image, channel, turn) > TRUTH_THRESHOLD
        # Before 16 bits become 8, which would turn a faint gray into a label.
        labels = _upright(image, _labels if numbers else channel, turn)
        if labels.max() == 1:
            return labels == 1
        if image.mode == "P" and _is_coloured(image):
            what = "the truth is a map of classes; white, or ones among zeros, would be foreground"
            raise BadImage("truth_values", what)
        gray = _upright(image, channel, turn) if numbers else labels
    _check_levels(gray, labels.max())
    return gray > TRUTH_THRESHOLD


def _check_levels(gray: np.ndarray, largest: int) -> None:
    """Refuses levels that say nothing of foreground."""
    counts = np.array(Image.fromarray(gray).histogram())
    if counts[255] and counts[1:_CLASSES].any() and not counts[_CLASSES:255].any():
        raise BadImage(
            "truth_values",
            f"the truth holds small numbers such as {np.flatnonzero(counts[1:])[0] + 1} beside "
            "255, which then usually means to ignore a pixel; save foreground as 255, else 0",
        )
    if largest > 0 and gray.max() <= TRUTH_THRESHOLD:
        what = f"in 8 bits, the truth is {gray.max()} at most; foreground is over 128"
        raise BadImage("truth_values", what)


def _upright(
    image: Image.Image,
    convert: Callable[[Image.Image], np.ndarray],
    turn: Image.Transpose | None,
) -> np.ndarray:
    """The whole image as uint8 (height, width), converted a few rows at a time to save memory."""
    gray = np.empty((image.height, image.width), np.uint8)
    rows = max(1, _BAND // image.width)
    for top in range(0, image.height, rows):
        band = gray[top : top + rows]
        band[:] = convert(image.crop((0, top, image.width, top + len(band))))
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
