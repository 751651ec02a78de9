"""Encoded images to pixels: upright, RGB or gray, of a bounded size."""

from __future__ import annotations

import functools
import io
from collections.abc import Iterator

import apache_beam as beam
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from pipeline.ahead import CORES, InThreads
from pipeline.records import TAGS, BadImage, DecodedImage, Failure, ImageRecord

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
MAX_PIXELS = 200_000_000

# The bound is ours, checked before anything is decoded; Pillow's own only warns at first.
Image.MAX_IMAGE_PIXELS = None


def decode_image(data: bytes, size: int) -> tuple[np.ndarray, tuple[int, int]]:
    """Decodes a photo for the network.

    The first frame counts. EXIF orientation is applied, transparency is laid on white, 16-bit
    values keep their upper half.

    Args:
        data: An encoded image of one of ``FORMATS``.
        size: Side S of the square that the network takes, in pixels.

    Returns:
        uint8 (S, S, 3) RGB, and (width, height) of the upright image.

    Raises:
        BadImage: The data is no image of these formats, is cut short, broken or too large.
    """
    image = _load(data)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    elif image.mode.startswith("I") or image.mode == "F":
        image = _to_8_bit(image)
    upright = image.size
    # Reducing by whole factors first is not seen and saves most of the time.
    small = image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR, reducing_gap=3.0)
    return np.asarray(small), upright


def decode_mask(data: bytes) -> np.ndarray:
    """Decodes a saliency map as it is.

    Args:
        data: An encoded image of one of ``FORMATS``.

    Returns:
        uint8 (height, width): probability x 255, upright.

    Raises:
        BadImage: As ``decode_image``.
    """
    return _to_gray(_load(data))


def decode_truth(data: bytes, size: tuple[int, int]) -> np.ndarray:
    """Decodes a ground-truth mask.

    Args:
        data: An encoded image of one of ``FORMATS``. One of zeros and ones only is a label map,
            whose ones are foreground; one of other small numbers says nothing of salience.
        size: (width, height) that the mask has to have.

    Returns:
        bool (height, width), true above 128.

    Raises:
        BadImage: As ``decode_image``, or the mask has another size or is neither black and white
            nor zeros and ones.
    """
    image = _load(data)
    if image.size != size:
        raise BadImage(
            "truth_size",
            f"the truth has {image.width} x {image.height} pixels, the image {size[0]} x {size[1]}",
        )
    # Looked at before 16 bits become 8, which would make a label of a faint gray.
    labels = np.asarray(image) if _holds_numbers(image) else _to_gray(image)
    if labels.max() == 1:
        return labels == 1
    gray = _to_gray(image)
    if 0 < gray.max() <= 128:
        raise BadImage("truth_values", f"the truth is {gray.max()} at most; foreground is over 128")
    return gray > 128


def _load(data: bytes) -> Image.Image:
    """The first frame, upright and in memory."""
    if not data:
        raise BadImage("empty", "no bytes")
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
        raise BadImage("not_an_image", f"not a {', '.join(FORMATS)} image") from None
    except Exception as error:
        raise BadImage("broken", f"{type(error).__name__}: {error}") from error
    if image.width * image.height > MAX_PIXELS:
        raise BadImage(
            "too_large",
            f"{image.width} x {image.height} pixels; at most {MAX_PIXELS} are decoded",
        )
    try:
        image.load()
    except Exception as error:  # Pillow's decoders raise whatever broken data leads them to.
        raise BadImage("broken", f"{image.format}: {type(error).__name__}: {error}") from error
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # Broken EXIF says nothing; the pixels are as good as they were.
        return image


def _to_gray(image: Image.Image) -> np.ndarray:
    wide = image.mode.startswith("I") or image.mode == "F"
    return np.asarray(_to_8_bit(image) if wide else image.convert("L"))


def _to_8_bit(image: Image.Image) -> Image.Image:
    """Gray of 16 bits, or floats in [0, 1], to 8 bits, never stretched to its own range."""
    pixels = np.asarray(image)
    if image.mode == "F":
        pixels = np.nan_to_num(pixels, nan=0.0, posinf=1.0, neginf=0.0)
        return Image.fromarray(np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8))
    return Image.fromarray((np.clip(pixels, 0, 65535) >> 8).astype(np.uint8))


def _holds_numbers(image: Image.Image) -> bool:
    """Whether pixels are numbers of things rather than colours or 8-bit grays."""
    if image.mode != "P":
        return image.mode.startswith("I")
    # A palette of black and white says what its two numbers mean, in whichever order.
    palette = image.getpalette() or []
    return {tuple(palette[:3]), tuple(palette[3:6])} != {(0, 0, 0), (255, 255, 255)}


class DecodeImages(beam.PTransform):
    """``ImageRecord`` to ``DecodedImage``; failures under the tag ``"failures"``.

    Args:
        size: Side of the square that the network takes, in pixels.
    """

    def __init__(self, size: int):
        super().__init__()
        self.size = size

    def expand(self, records):
        """Decodes each record by itself."""
        function = functools.partial(decode_record, size=self.size)
        decoded = beam.ParDo(InThreads(function, CORES, TAGS, "decode", "decoded"))
        return records | decoded.with_outputs("failures", main="images")


def decode_record(record: ImageRecord, size: int) -> Iterator[DecodedImage | Failure]:
    """Decodes a photo for the network; see ``decode_image``."""
    try:
        pixels, upright = decode_image(record.image, size)
        yield DecodedImage(record.key, record.mask, pixels, upright, record.truth, record.content)
    except Exception as error:
        yield Failure.of(record.key, "decode", error)
