"""Small pictures of photos, masks and truths, each of a bounded number of bytes."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from pipeline.images.photo import decode_image
from pipeline.images.truth import decode_mask, decode_truth

# Pixels of the longer side.
SIDE = 480
# Most bytes. A hundred images then take 10 MB as text; a usual one takes a third of it.
PHOTO_BYTES, MASK_BYTES, TRUTH_BYTES = 44_000, 14_000, 5_000
QUALITIES = (70, 45, 25)
FOREGROUND = 128
# Colours that are told apart by people who are colour-blind, too (Okabe and Ito).
MASK_COLOUR = (230, 0, 110)
TRUTH_COLOUR = (0, 158, 115)
HIT, FALSE_ALARM, MISS = (255, 255, 255), (230, 159, 0), (0, 114, 178)


@dataclass(frozen=True)
class Pictures:
    """The pictures of an image as WebP; None for what cannot be shown.

    Attributes:
        size: (width, height) of each.
        photo: The photo.
        mask: A colour as opaque as the mask is probable.
        truth: A colour where the truth is.
        errors: Colours where mask or truth is: on both, on the mask alone, on the truth alone.
        troubles: Why something cannot be shown.
    """

    size: tuple[int, int]
    photo: bytes | None = None
    mask: bytes | None = None
    truth: bytes | None = None
    errors: bytes | None = None
    troubles: tuple[str, ...] = ()


def fitted(size: tuple[int, int], side: int = SIDE) -> tuple[int, int]:
    """(width, height) with the same ratio, of which the larger is at most ``side``."""
    shrink = max(1.0, max(size) / side)
    width, height = (max(1, round(one / shrink)) for one in size)
    return width, height


def small_photo(data: bytes, max_pixels: int) -> bytes:
    """A photo as a small WebP, upright and in sRGB.

    Raises:
        BadImage: As of ``decode_image``.
    """
    photo = decode_image(data, SIDE, max_pixels)
    return _encode(Image.fromarray(photo.pixels).resize(fitted(photo.size)), PHOTO_BYTES)


def small_mask(data: bytes, max_pixels: int) -> Image.Image:
    """A mask as a small image of gray levels, probability x 255.

    Raises:
        BadImage: As of ``decode_mask``.
    """
    mask = Image.fromarray(decode_mask(data, max_pixels))
    return mask.resize(fitted(mask.size), Image.Resampling.BOX)


def small_truth(data: bytes, size: tuple[int, int], max_pixels: int) -> Image.Image:
    """A truth as a small image of gray levels, 255 where the object is.

    Args:
        data: The encoded truth.
        size: (width, height) that it has to have.
        max_pixels: Most pixels of it.

    Raises:
        BadImage: As of ``decode_truth``.
    """
    truth = Image.fromarray(decode_truth(data, size, max_pixels).astype(np.uint8) * np.uint8(255))
    return truth.resize(fitted(size), Image.Resampling.BOX)


def coloured(levels: Image.Image, colour: tuple[int, int, int], most: int) -> bytes:
    """A colour as opaque as levels are high, as WebP."""
    picture = Image.new("RGB", levels.size, colour)
    picture.putalpha(levels)
    return _encode(picture, most)


def errors_of(mask: Image.Image, truth: Image.Image) -> bytes:
    """Where mask and truth, each at least 0.5, agree and differ, as WebP."""
    found = np.asarray(mask) >= FOREGROUND
    wanted = np.asarray(truth) >= FOREGROUND
    pixels = np.zeros((*found.shape, 4), np.uint8)
    pixels[found & wanted] = (*HIT, 255)
    pixels[found & ~wanted] = (*FALSE_ALARM, 255)
    pixels[~found & wanted] = (*MISS, 255)
    return _encode(Image.fromarray(pixels), TRUTH_BYTES)


def _encode(picture: Image.Image, most: int) -> bytes:
    """WebP of at most so many bytes: of less quality if it must be, then of fewer pixels."""
    while True:
        for quality in QUALITIES:
            buffer = io.BytesIO()
            # A mask takes a third of the time of the usual method, 4, and a third more bytes.
            picture.save(buffer, "WEBP", quality=quality, alpha_quality=quality + 25, method=0)
            if buffer.tell() <= most:
                return buffer.getvalue()
        picture = picture.resize([max(1, side // 2) for side in picture.size])
