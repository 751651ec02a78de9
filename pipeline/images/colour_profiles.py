"""Colours by the profile that is embedded in a photo, as sRGB."""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageCms

from pipeline.images.lean_files import MAX_PROFILE

# Of a profile's colours, the mode that littleCMS takes, and the modes of images that have them.
_SPACES = {
    "RGB ": ("RGB", ("RGB", "RGBA", "RGBX", "RGBa", "P", "PA")),
    "GRAY": ("L", ("L", "LA", "La", "I;16", "I;16B", "I;16L", "RGBA")),
    "CMYK": ("CMYK", ("CMYK",)),
}
# Levels by which a profile must change some colour to be worth a conversion.
_VISIBLE = 3


@dataclass(frozen=True)
class Profile:
    """An embedded profile that changes colours.

    Attributes:
        data: Its bytes.
        mode: What it converts: ``"RGB"``, ``"L"`` or ``"CMYK"``.
    """

    data: bytes
    mode: str


def profile_of(image: Image.Image) -> Profile | None:
    """The embedded profile by which an image is to be converted; None for none."""
    data = image.info.get("icc_profile") or b""
    mode, images = _SPACES.get(data[16:20].decode("latin-1"), ("", ()))
    if image.mode not in images or len(data) > MAX_PROFILE or _transform(data, mode) is None:
        return None
    return Profile(data, mode)


def to_srgb(image: Image.Image, profile: Profile) -> Image.Image:
    """Converts a small image.

    Args:
        image: CMYK for a profile of inks, else RGB: what is gray or transparent was made RGB.
        profile: What ``profile_of`` said of it.

    Returns:
        RGB.
    """
    if profile.mode == "L":
        # Pillow reads gray with alpha of 16 bits as colours, so that these may be colours indeed.
        red, green, blue = image.split()
        if any(ImageChops.difference(red, other).getbbox() for other in (green, blue)):
            return image
        image = red
    return ImageCms.applyTransform(image, _transform(profile.data, profile.mode))


def rgb_profile_of(image: Image.Image) -> bytes:
    """The embedded profile of an image whose colours are kept as they are; empty for none.

    Only a profile of RGB can be kept in a file of RGB.
    """
    data = image.info.get("icc_profile") or b""
    if data[16:20] != b"RGB " or image.mode not in _SPACES["RGB "][1] or len(data) > MAX_PROFILE:
        return b""
    try:
        ImageCms.ImageCmsProfile(io.BytesIO(data))
    except (ImageCms.PyCMSError, OSError):
        return b""  # It is broken.
    return data


@functools.lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The way to sRGB; None if the profile is as good as sRGB, is broken or is of another mode."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        # A profile is metadata. The pixels are as good as they were.
        return None
    return transform if mode == "CMYK" or _is_visible(transform, mode) else None


def _is_visible(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Whether a transform of gray or RGB changes colours. A profile's name does not tell."""
    levels = np.arange(0, 256, 17, dtype=np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(len(levels), -1, 3)
    image = Image.fromarray(colours[:, :, 0] if mode == "L" else colours)
    changed = np.asarray(ImageCms.applyTransform(image, transform), int)
    return bool(np.abs(changed - np.asarray(image.convert("RGB"))).max() >= _VISIBLE)
