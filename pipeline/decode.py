"""Encoded images to pixels: upright, RGB or gray."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator

import apache_beam as beam
import numpy as np
from PIL import Image

from pipeline.ahead import CORES, InThreads
from pipeline.open_image import bad_image, opened
from pipeline.records import TAGS, BadImage, DecodedImage, Failure, ImageRecord

# Images are first reduced by whole factors, down to this many times the network's side.
REDUCED = 3
# JPEGs are decoded at reduced scale, down to this many times the network's side: 12 megapixels
# take a fifth of the time. At once the network's side it would be seen, by 30 levels at edges.
DRAFTED = 2
# Side of what is converted at once, in pixels; a whole copy in RGBA could take 800 MB.
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
        BadImage: The data is no image of these formats, is cut short, broken or too large.
    """
    with bad_image(), opened(data, DRAFTED * size) as (image, upright, turn):
        small = _shrink(image, size)
        return np.asarray(small if turn is None else small.transpose(turn)), upright


def decode_mask(data: bytes) -> np.ndarray:
    """Decodes a saliency map as it is.

    Args:
        data: An encoded image of one of ``FORMATS``.

    Returns:
        uint8 (height, width): probability x 255, upright.

    Raises:
        BadImage: As ``decode_image``.
    """
    with bad_image(), opened(data) as (image, _, turn):
        return _upright(image, _gray, turn)


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
        BadImage: As ``decode_image``, or the mask has another size or is neither black and white
            nor zeros and ones.
    """
    with bad_image(), opened(data) as (image, upright, turn):
        if upright != size:
            raise BadImage(
                "truth_size",
                f"the truth has {upright[0]} x {upright[1]} pixels, "
                f"the image {size[0]} x {size[1]}",
            )
        # Looked at before 16 bits become 8, which would make a label of a faint gray.
        numbers = _holds_numbers(image)
        labels = _upright(image, _labels if numbers else _gray, turn)
        if image.mode == "P" and not numbers:
            return labels > 128
        if labels.max() == 1:
            return labels == 1
        if image.mode == "P" and _is_coloured(image):
            what = "the truth is a map of classes; white, or ones among zeros, would be foreground"
            raise BadImage("truth_values", what)
        gray = _upright(image, _gray, turn)
    if labels.max() > 0 and gray.max() <= 128:
        what = f"in 8 bits, the truth is {gray.max()} at most; foreground is over 128"
        raise BadImage("truth_values", what)
    return gray > 128


def _shrink(image: Image.Image, size: int) -> Image.Image:
    """RGB (S, S), as ``convert`` and ``resize(reducing_gap=3)`` make it, without a copy in full."""
    factors = [max(1, int(side / size / REDUCED)) for side in image.size]
    reduced_sides = [math.ceil(side / by) for side, by in zip(image.size, factors, strict=True)]
    reduced = Image.new("RGB", reduced_sides)
    for box in _blocks(image.size, factors):
        block = _rgb(image.crop(box)).reduce(factors)
        reduced.paste(block, (box[0] // factors[0], box[1] // factors[1]))
    exact = (0, 0, image.width / factors[0], image.height / factors[1])
    return reduced.resize((size, size), Image.Resampling.BILINEAR, box=exact)


def _upright(
    image: Image.Image,
    convert: Callable[[Image.Image], np.ndarray],
    turn: Image.Transpose | None,
) -> np.ndarray:
    """uint8 (height, width) of the whole image, converted block by block."""
    gray = np.empty((image.height, image.width), np.uint8)
    for left, top, right, bottom in _blocks(image.size, (1, 1)):
        gray[top:bottom, left:right] = convert(image.crop((left, top, right, bottom)))
    return gray if turn is None else np.asarray(Image.fromarray(gray).transpose(turn))


def _blocks(size: tuple[int, int], factors) -> Iterator[Box]:
    """Boxes that cover an image, whose sides are multiples of the factors."""
    width, height = size
    across, down = (by * max(1, BLOCK // by) for by in factors)
    for top in range(0, height, down):
        for left in range(0, width, across):
            yield left, top, min(left + across, width), min(top + down, height)


def _rgb(block: Image.Image) -> Image.Image:
    if _is_wide(block):
        gray = _gray(block)
        clear = block.info.get("transparency")
        if isinstance(clear, int):
            gray[np.asarray(block) == clear] = 255
        return Image.fromarray(gray).convert("RGB")
    if block.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in block.info:
        white = Image.new("RGBA", block.size, "white")
        block = Image.alpha_composite(white, block.convert("RGBA"))
    return block.convert("RGB")


def _gray(block: Image.Image) -> np.ndarray:
    """8 bits; of 16 bits the upper half, of floats [0, 1], never stretched to their own range."""
    if not _is_wide(block):
        # Pillow knows no way from LAB to gray.
        return np.array((block.convert("RGB") if block.mode == "LAB" else block).convert("L"))
    pixels = np.asarray(block)
    if block.mode == "F":
        pixels = np.nan_to_num(pixels, nan=0.0, posinf=1.0, neginf=0.0)
        return np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    return (np.clip(pixels, 0, 65535) >> 8).astype(np.uint8)


def _labels(block: Image.Image) -> np.ndarray:
    """0, 1, or 2 for all numbers above."""
    return np.clip(np.asarray(block), 0, 2).astype(np.uint8)


def _is_wide(image: Image.Image) -> bool:
    return image.mode.startswith("I") or image.mode == "F"


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


class DecodeImages(beam.PTransform):
    """``ImageRecord`` to ``DecodedImage``; failures under the tag ``"failures"``.

    Args:
        size: Side of the square that the network takes, in pixels.
        ahead: Most images that are decoded before the network takes them.
    """

    def __init__(self, size: int, ahead: int):
        super().__init__()
        self.size = size
        self.ahead = ahead

    def expand(self, records):
        """Decodes each record by itself."""
        function = functools.partial(decode_record, size=self.size)
        decoded = beam.ParDo(InThreads(function, self.ahead, CORES, TAGS, "decode", "decoded"))
        return records | decoded.with_outputs("failures", main="images")


def decode_record(record: ImageRecord, size: int) -> Iterator[DecodedImage | Failure]:
    """Decodes a photo for the network; see ``decode_image``."""
    try:
        pixels, upright = decode_image(record.image, size)
        yield DecodedImage(record.key, record.mask, pixels, upright, record.truth, record.content)
    except Exception as error:
        yield Failure.of(record.key, "decode", error)
