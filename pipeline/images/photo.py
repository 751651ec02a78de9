"""Photos to pixels for the network: upright RGB."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image

from pipeline.images.colour_profiles import profile_of, to_srgb
from pipeline.images.open_safely import MAX_PIXELS, opened
from pipeline.images.refusals import bad_image
from pipeline.images.tones import Tones, is_wide, tones_of

# Images are first reduced by whole factors (box filter), to at least this times the network's side.
REDUCED = 3
# JPEGs are decoded at reduced scale, to at least this times the network's side: 12 megapixels take
# a fifth of the time. At 1 in place of 2, edges would differ by 30 levels.
DRAFTED = 2
# Levels by which the pixels of an image without content may differ.
FLAT = 2
# Side of the blocks that are converted to RGB, in pixels. A copy of the whole could take 800 MB.
BLOCK = 2048

Box = tuple[int, int, int, int]


class Photo(NamedTuple):
    """A photo as the network takes it.

    Attributes:
        pixels: uint8 (S, S, 3), sRGB.
        size: (width, height) of the upright image at its full size.
        guess: What was guessed of the meaning of its numbers, in words; empty as a rule.
    """

    pixels: np.ndarray
    size: tuple[int, int]
    guess: str


def decode_image(
    data: bytes, size: int, max_pixels: int = MAX_PIXELS, resize: str = "bilinear"
) -> Photo:
    """Decodes a photo for the network.

    The first frame counts. EXIF orientation is applied. Colours are converted by an embedded
    profile. What wide numbers and transparency mean is decided in ``tones``. A JPEG whose sides are
    4 or more times the network's is decoded at 1/2, 1/4 or 1/8 of its size. Photos then differ from
    those decoded in full by about 0.6 levels of 256 on average; posters and other sharp pictures by
    2.5 on average, and by 47 at single edges.

    Args:
        data: An encoded image of one of ``FORMATS``.
        size: Side S of the square that the network takes, in pixels.
        max_pixels: Most pixels of an image.
        resize: How pixels are weighed, as Pillow names it: ``"bilinear"``, ``"bicubic"`` or
            ``"lanczos"``.

    Raises:
        BadImage: The data is no image of these formats, is truncated, broken or too large, or its
            numbers are of no known range.
    """
    with bad_image(), opened(data, DRAFTED * size, max_pixels) as (image, upright, turn):
        small, guess = resized(image, (size, size), resize)
        pixels = np.asarray(small if turn is None else small.transpose(turn))
        return Photo(pixels, upright, guess)


def resized(
    image: Image.Image, size: tuple[int, int], resize: str = "bilinear"
) -> tuple[Image.Image, str]:
    """A decoded photo at another size, as RGB in sRGB, and what was guessed, in words."""
    profile = profile_of(image)
    inks = profile is not None and profile.mode == "CMYK"
    tones = Tones(lambda block: block) if inks else tones_of(image)
    small = _shrink(image, size, tones.to_rgb, "CMYK" if inks else "RGB", resize)
    return to_srgb(small, profile) if profile else small, tones.guess


def _shrink(
    image: Image.Image,
    size: tuple[int, int],
    convert: Callable[[Image.Image], Image.Image],
    mode: str,
    resize: str,
) -> Image.Image:
    """The image as ``convert(image).resize(size, resize, reducing_gap=3)`` makes it, in blocks.

    Args:
        image: The photo at its full size.
        size: (width, height) of the result.
        convert: From a block of the photo to one of ``mode``.
        mode: ``"RGB"`` or ``"CMYK"``.
        resize: As of ``decode_image``.
    """
    factors = [
        max(1, int(side / wanted / REDUCED)) for side, wanted in zip(image.size, size, strict=True)
    ]
    reduced_sides = [math.ceil(side / by) for side, by in zip(image.size, factors, strict=True)]
    reduced = Image.new(mode, reduced_sides)
    for box in blocks(image.size, factors):
        block = convert(image.crop(box)).reduce(factors)
        reduced.paste(block, (box[0] // factors[0], box[1] // factors[1]))
    exact = (0, 0, image.width / factors[0], image.height / factors[1])
    return reduced.resize(size, Image.Resampling[resize.upper()], box=exact)


def is_flat(pixels: np.ndarray) -> bool:
    """Whether an image, uint8 (S, S, 3), shows one colour only, up to the noise of JPEG."""
    return bool(np.ptp(pixels, axis=(0, 1)).max() <= FLAT)


def blocks(size: tuple[int, int], factors) -> Iterator[Box]:
    """Boxes that cover an image. Their sides are multiples of the factors, but at the far edges."""
    width, height = size
    across, down = (by * max(1, BLOCK // by) for by in factors)
    for top in range(0, height, down):
        for left in range(0, width, across):
            yield left, top, min(left + across, width), min(top + down, height)


def gray_levels(block: Image.Image) -> np.ndarray:
    """Gray levels, uint8: the upper byte of 16 bits, floats as [0, 1]; never stretched."""
    if block.mode == "L":
        return np.asarray(block)
    if not is_wide(block):
        # Pillow cannot convert LAB to gray directly.
        return np.array((block.convert("RGB") if block.mode == "LAB" else block).convert("L"))
    pixels = np.asarray(block)
    if block.mode == "F":
        pixels = np.nan_to_num(pixels, nan=0.0, posinf=1.0, neginf=0.0)
        return np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    return (np.clip(pixels, 0, 65535) >> 8).astype(np.uint8)
