"""Photos to pixels for the network: upright RGB."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from PIL import Image

from pipeline.images.open_safely import bad_image, opened

# Images are first reduced by whole factors (box filter), to at least this times the network's side.
REDUCED = 3
# JPEGs are decoded at reduced scale, to at least this times the network's side: 12 megapixels take
# a fifth of the time. At 1 in place of 2, edges would differ by 30 levels.
DRAFTED = 2
# Side of the blocks that are converted to RGB, in pixels. A copy of the whole could take 800 MB.
BLOCK = 2048

Box = tuple[int, int, int, int]


def decode_image(data: bytes, size: int) -> tuple[np.ndarray, tuple[int, int]]:
    """Decodes a photo for the network.

    The first frame counts. EXIF orientation is applied, transparency is laid on white, 16-bit
    values keep their upper half. A JPEG whose sides are 4 or more times the network's is decoded at
    1/2, 1/4 or 1/8 of its size: photos differ from those decoded in full by less than 0.6 levels of
    256 on average and by 7 at most, white noise by 1.3 and 9.

    Args:
        data: An encoded image of one of ``FORMATS``.
        size: Side S of the square that the network takes, in pixels.

    Returns:
        uint8 (S, S, 3) RGB, and (width, height) of the upright image at its full size.

    Raises:
        BadImage: The data is no image of these formats, is truncated, broken or too large.
    """
    with bad_image(), opened(data, DRAFTED * size) as (image, upright, turn):
        small = _shrink(image, size)
        return np.asarray(small if turn is None else small.transpose(turn)), upright


def _shrink(image: Image.Image, size: int) -> Image.Image:
    """RGB (S, S), as ``convert("RGB").resize(reducing_gap=3)`` makes it, in blocks."""
    factors = [max(1, int(side / size / REDUCED)) for side in image.size]
    reduced_sides = [math.ceil(side / by) for side, by in zip(image.size, factors, strict=True)]
    reduced = Image.new("RGB", reduced_sides)
    for box in blocks(image.size, factors):
        block = _rgb(image.crop(box)).reduce(factors)
        reduced.paste(block, (box[0] // factors[0], box[1] // factors[1]))
    exact = (0, 0, image.width / factors[0], image.height / factors[1])
    return reduced.resize((size, size), Image.Resampling.BILINEAR, box=exact)


def blocks(size: tuple[int, int], factors) -> Iterator[Box]:
    """Boxes that cover an image. Their sides are multiples of the factors, but at the far edges."""
    width, height = size
    across, down = (by * max(1, BLOCK // by) for by in factors)
    for top in range(0, height, down):
        for left in range(0, width, across):
            yield left, top, min(left + across, width), min(top + down, height)


def _rgb(block: Image.Image) -> Image.Image:
    if _is_wide(block):
        gray = gray_levels(block)
        clear = block.info.get("transparency")
        if isinstance(clear, int):
            gray[np.asarray(block) == clear] = 255
        return Image.fromarray(gray).convert("RGB")
    if block.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in block.info:
        white = Image.new("RGBA", block.size, "white")
        block = Image.alpha_composite(white, block.convert("RGBA"))
    return block.convert("RGB")


def gray_levels(block: Image.Image) -> np.ndarray:
    """Gray levels, uint8: the upper byte of 16 bits, floats as [0, 1]; never stretched."""
    if not _is_wide(block):
        # Pillow cannot convert LAB to gray directly.
        return np.array((block.convert("RGB") if block.mode == "LAB" else block).convert("L"))
    pixels = np.asarray(block)
    if block.mode == "F":
        pixels = np.nan_to_num(pixels, nan=0.0, posinf=1.0, neginf=0.0)
        return np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    return (np.clip(pixels, 0, 65535) >> 8).astype(np.uint8)


def _is_wide(image: Image.Image) -> bool:
    return image.mode.startswith("I") or image.mode == "F"
