"""Augmentation of training images: crops, colours, pasted objects, blur and JPEG noise."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageFilter


def augment(
    image: np.ndarray, mask: np.ndarray, crop: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Takes a random crop, flips half of them, and changes brightness, contrast and colours.

    Hues turn by up to a tenth of the circle, so that the network does not learn warm or bright
    colours as a mark of the object.

    Args:
        image: uint8 (S, S, 3).
        mask: uint8 (S, S).
        crop: Side of the crop in pixels, at most S.
        rng: Source of every random choice.

    Returns:
        The changed image, uint8 (crop, crop, 3), and its mask, uint8 (crop, crop).
    """
    top, left = rng.integers(0, len(image) - crop + 1, size=2)
    flip = -1 if rng.random() < 0.5 else 1
    brightness, contrast = rng.uniform(0.7, 1.3, size=2)
    saturation = rng.uniform(0.0, 1.6)
    turn = rng.uniform(-0.2, 0.2) * np.pi
    tint = rng.uniform(0.93, 1.07, size=3)

    window = (slice(top, top + crop), slice(left, left + crop))
    pixels = image[window][:, ::flip]
    # All colour changes are linear in the three channels of a pixel, so one matrix does them.
    colours = contrast * (saturation * _hue_rotation(turn) + (1 - saturation) / 3) * tint
    shift = (brightness - contrast) * pixels.mean() * tint
    changed = pixels.astype("float32") @ colours.astype("float32") + shift.astype("float32")
    return np.clip(changed, 0, 255, out=changed).astype("uint8"), mask[window][:, ::flip]


def _hue_rotation(angle: float) -> np.ndarray:
    """Matrix (3, 3) that rotates colours, as rows, around the grey axis by ``angle`` radians."""
    # Rodrigues' rotation formula; ``across`` is the cross product with the axis.
    across = np.array([[0, 1, -1], [-1, 0, 1], [1, -1, 0]]) / np.sqrt(3)
    return np.cos(angle) * np.eye(3) + (1 - np.cos(angle)) / 3 + np.sin(angle) * across


def paste(
    image: np.ndarray, mask: np.ndarray, other: np.ndarray, other_mask: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pastes the object of one image onto another (Ghiasi et al. 2021, "Simple Copy-Paste").

    Args:
        image: Image with the object to paste, uint8 (S, S, 3).
        mask: Its mask, uint8 (S, S).
        other: Image to paste onto, uint8 (S, S, 3).
        other_mask: Its mask, uint8 (S, S).

    Returns:
        Image, uint8 (S, S, 3), and mask, uint8 (S, S), with both objects.
    """
    share = mask[..., None].astype("float32") / np.float32(255)
    mixed = other + share * (image.astype("float32") - other)
    return mixed.round().astype("uint8"), np.maximum(mask, other_mask)


def degrade(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Makes a worse photo: blurs one image in five, compresses two in five as JPEG.

    Args:
        image: uint8 (S, S, 3).
        rng: Source of every random choice.

    Returns:
        uint8 (S, S, 3).
    """
    blurred, radius = rng.random() < 0.2, rng.uniform(0.3, 1.5)
    compressed, quality = rng.random() < 0.4, int(rng.integers(30, 95))
    picture = Image.fromarray(image)
    if blurred:
        picture = picture.filter(ImageFilter.GaussianBlur(radius))
    if compressed:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality)
        picture = Image.open(buffer)
    return np.asarray(picture)
