"""Colours by the profile that is embedded in a photo, as sRGB."""

from __future__ import annotations

import functools
import io

import numpy as np
from PIL import Image, ImageCms

from pipeline.images.lean_files import MAX_PROFILE

# Modes whose profiles change what is seen, and that littleCMS takes as they are.
_MODES = ("RGB", "CMYK")
# Levels by which a profile must change some colour to be worth a conversion.
_VISIBLE = 3


def profile_of(image: Image.Image) -> bytes:
    """The embedded profile of an image that is to be converted by it; empty for none."""
    profile = image.info.get("icc_profile") or b""
    if image.mode not in _MODES or "transparency" in image.info:
        return b""
    if not 0 < len(profile) <= MAX_PROFILE or _transform(profile, image.mode) is None:
        return b""
    return profile


def to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Converts a small image of the profile's own mode.

    Args:
        image: RGB or CMYK.
        profile: What ``profile_of`` said of it.

    Returns:
        RGB.
    """
    return ImageCms.applyTransform(image, _transform(profile, image.mode))


@functools.lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The way to sRGB; None if the profile is as good as sRGB, is broken or is of another mode."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        # A profile is metadata. The pixels are as good as they were.
        return None
    return transform if mode != "RGB" or _is_visible(transform) else None


def _is_visible(transform: ImageCms.ImageCmsTransform) -> bool:
    """Whether a transform of RGB changes colours. A profile's name does not tell."""
    levels = np.arange(0, 256, 17, dtype=np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(len(levels), -1, 3)
    changed = np.asarray(ImageCms.applyTransform(Image.fromarray(colours), transform))
    return bool(np.abs(changed.astype(int) - colours).max() >= _VISIBLE)
