"""Photos without their background: the mask as alpha, and no background colour in soft edges.

Where a mask is soft, a pixel shows object and background mixed, and the background would shine on
any other ground. So its colour is replaced by an estimate of the object's.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from pipeline.failures import BadImage
from pipeline.images.colour_profiles import profile_of, rgb_profile_of, to_srgb
from pipeline.images.open_safely import MAX_PIXELS, opened
from pipeline.images.photo import blocks
from pipeline.images.refusals import bad_image
from pipeline.images.tones import is_transparent, tones_of

# Colours are estimated on a copy of about so many pixels a side: soft edges of a mask grow with its
# photo, as the network sees all photos at one size.
SIDE = 512
# Sides of the squares over which colours are averaged one after the other, as shares of the copy's
# larger side; in the paper they are 90 / 512 and 6 / 512, and weights are not squared. Photos laid
# over others by soft truths are wrong by 9.4 levels at soft pixels as they are, by 5.9 with the
# paper's way, by 5.0 with this one, and by 4.7 with pymatting's, which takes 200 MB of packages.
SQUARES = (60 / 512, 30 / 512, 15 / 512, 8 / 512)
# Pixels that are made at once.
BAND = 1 << 20
# Of 12 megapixels in full, level 1 takes 1.4 s for 26.8 MB, and level 6 7.9 s for 22.9 MB.
PNG_LEVEL = 1
WEBP_QUALITY, WEBP_METHOD = 90, 2
# What WebP can hold.
WEBP_SIDE = 16383
_TINY = 1e-5


def cut_out(data: bytes, mask: np.ndarray, suffix: str, max_pixels: int = MAX_PIXELS) -> bytes:
    """A photo whose alpha is its mask.

    Colours are those of the photo, with its profile if that is one of RGB, else in sRGB; what is
    not seen is black. A photo that is transparent itself stays so: its alpha is multiplied by the
    mask.

    Args:
        data: The encoded photo.
        mask: uint8 (height, width) of the upright photo, probability x 255.
        suffix: ``"png"`` or ``"webp"``.
        max_pixels: Most pixels of the photo.

    Returns:
        RGBA of 8 bits at the photo's full size, upright, as PNG or WebP.

    Raises:
        BadImage: As of ``decode_image``, and where WebP cannot hold so large a photo.
    """
    if suffix == "webp" and max(mask.shape) > WEBP_SIDE:
        raise BadImage(
            "too_large",
            f"WebP holds at most {WEBP_SIDE} pixels a side, not {max(mask.shape)}; use "
            "--cutouts png",
        )
    with bad_image(), opened(data, None, max_pixels) as (image, _, turn):
        upright = image if turn is None else image.transpose(turn)
        profile = rgb_profile_of(image)
        rgba = _with_alpha(upright, mask, keeps_profile=bool(profile))
    free_edges(rgba)
    return _encode(Image.fromarray(rgba), suffix, profile)


def free_edges(rgba: np.ndarray) -> None:
    """Replaces the colours of soft pixels by those of the object, and of clear ones by black.

    Foreground and background colours F and B are averages of the colours around, weighted by alpha
    a^2 and by (1 - a)^2, over a large square and then over smaller ones. The colour of a pixel I
    becomes F + a (I - a F - (1 - a) B). (Forte, "Approximate Fast Foreground Colour Estimation",
    ICIP 2021, "blur fusion", here with F and B of a small copy.)

    Args:
        rgba: uint8 (H, W, 4), changed in place.
    """
    height, width = rgba.shape[:2]
    averages = _averages(rgba)
    rows = max(1, BAND // width)
    for top in range(0, height, rows):
        band = rgba[top : top + rows]
        alpha = band[..., 3]
        soft = (alpha > 0) & (alpha < 255)
        if soft.any():
            shares = (top / height, (top + len(band)) / height)
            foreground, background = (_rows_of(one, shares, band.shape)[soft] for one in averages)
            weight = alpha[soft][:, None] * np.float32(1 / 255)
            colour = _corrected(band[soft][:, :3], weight, foreground, background)
            band[soft, :3] = np.rint(colour)
        band[alpha == 0] = 0


def _averages(rgba: np.ndarray) -> tuple[Image.Image, Image.Image]:
    """Foreground and background colours around each pixel of a small copy, RGB."""
    height, width = rgba.shape[:2]
    # As RGBX: of RGBA, Pillow would weigh colours by alpha.
    whole = Image.frombuffer("RGBX", (width, height), rgba, "raw", "RGBX", 0, 1)
    factors = [max(1, round(side / SIDE)) for side in (width, height)]
    small = np.asarray(whole.reduce(tuple(factors)), np.float32)
    image, alpha = small[..., :3], small[..., 3:] / 255
    foreground = background = image
    for square in SQUARES:
        side = max(3, round(square * max(alpha.shape)))
        foreground = _average(foreground, alpha**2, side)
        background = _average(background, (1 - alpha) ** 2, side)
        average, foreground = foreground, _corrected(image, alpha, foreground, background)
    return tuple(
        Image.fromarray(np.rint(np.clip(one, 0, 255)).astype(np.uint8))
        for one in (average, background)
    )


def _corrected(
    image: np.ndarray, alpha: np.ndarray, foreground: np.ndarray, background: np.ndarray
) -> np.ndarray:
    """Foreground colours that would have made the image, from 0 to 255."""
    rest = image - alpha * foreground - (1 - alpha) * background
    return np.clip(foreground + alpha * rest, 0, 255)


def _rows_of(small: Image.Image, shares: tuple[float, float], shape: tuple) -> np.ndarray:
    """Some rows of a small copy, stretched to the size of the photo."""
    box = (0, shares[0] * small.height, small.width, shares[1] * small.height)
    return np.asarray(small.resize((shape[1], shape[0]), Image.Resampling.BILINEAR, box))


def _with_alpha(image: Image.Image, mask: np.ndarray, keeps_profile: bool) -> np.ndarray:
    """uint8 (H, W, 4): a photo's colours, and its mask as alpha.

    Args:
        image: The upright photo, decoded.
        mask: uint8 (H, W).
        keeps_profile: Whether colours stay as they are, instead of becoming sRGB.
    """
    profile = None if keeps_profile else profile_of(image)
    is_clear = is_transparent(image)
    inks = profile is not None and profile.mode == "CMYK"
    tones = None if inks or is_clear else tones_of(image)
    rgba = np.empty((*mask.shape, 4), np.uint8)
    for left, top, right, bottom in blocks(image.size, (1, 1)):
        block = image.crop((left, top, right, bottom))
        part, alpha = rgba[top:bottom, left:right], mask[top:bottom, left:right]
        if is_clear:
            block = block.convert("RGBA")
            alpha = np.rint(np.asarray(block)[..., 3] * (alpha / np.float32(255)))
            block = block.convert("RGB")
        elif tones is not None:
            block = tones.to_rgb(block)
        part[..., :3] = to_srgb(block, profile) if profile else block
        part[..., 3] = alpha
    return rgba


def _encode(cutout: Image.Image, suffix: str, profile: bytes) -> bytes:
    buffer = io.BytesIO()
    kept = {"icc_profile": profile} if profile else {}
    if suffix == "webp":
        cutout.save(buffer, "WEBP", quality=WEBP_QUALITY, method=WEBP_METHOD, **kept)
    else:
        cutout.save(buffer, "PNG", compress_level=PNG_LEVEL, **kept)
    return buffer.getvalue()


def _average(colours: np.ndarray, weights: np.ndarray, side: int) -> np.ndarray:
    """Weighted averages over squares, float32 (H, W, 3)."""
    # Imported here because it takes long, and few jobs make cutouts.
    from scipy.ndimage import uniform_filter

    size = (side, side, 1)
    # Where nothing has a weight, the average is black, and is not used.
    return uniform_filter(colours * weights, size) / (uniform_filter(weights, size) + _TINY)
