"""What a file's numbers mean as 8-bit gray or RGB, where the format leaves it open.

Floats, wide integers and transparency say nothing of which value is white, or of the ground that
shows the picture. What is decided here is what the writer most likely meant; where that is a guess,
it is said in words.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image
from PIL.ExifTags import Base as Tag

from pipeline.failures import BadImage
from pipeline.images.deep_colours import GUESS

# Side of the small copy by which a ground for transparent images is chosen.
_SAMPLE = 256
# A visible part that is lighter than this on average would not be seen on white.
_LIGHT = 224
# Floats of 0 to 1 may have highlights of up to this. A picture of 0 to 255 is never so dark.
_HIGHLIGHT = 16
# Pixels whose numbers are looked at in one go.
BAND = 1 << 22
_WITH_ALPHA = ("RGBA", "LA", "PA", "RGBa", "La")


@dataclass(frozen=True)
class Tones:
    """How the pixels of one image become RGB.

    Attributes:
        to_rgb: From a block of the image to RGB, the same for every block.
        guess: What was guessed, in words; empty if nothing was.
    """

    to_rgb: Callable[[Image.Image], Image.Image]
    guess: str = ""


def tones_of(image: Image.Image) -> Tones:
    """Decides how an image becomes RGB.

    Args:
        image: A decoded image of any mode.

    Raises:
        BadImage: Its numbers are of no known range.
    """
    if is_wide(image):
        return _wide(image)
    depth = image.info.get(GUESS, "")
    if _has_alpha(image):
        tones = _transparent(image)
        return replace(tones, guess="; ".join(filter(None, (depth, tones.guess))))
    return Tones(lambda block: block.convert("RGB"), depth)


def is_transparent(image: Image.Image) -> bool:
    """Whether an image of 8 bits has an alpha that is not ignored."""
    return not is_wide(image) and _has_alpha(image) and not _has_unused_alpha(image)


def is_wide(image: Image.Image) -> bool:
    """Whether pixels are wider than 8 bits."""
    return image.mode.startswith("I") or image.mode == "F"


def _wide(image: Image.Image) -> Tones:
    low, high = range_of(image)
    clear = image.info.get("transparency")
    white, guess = (4095, "") if _says_12_bits(image) else _white(image.mode, high)
    if low < 0 and high > 0:
        guess = guess or "negative numbers are black"

    def to_rgb(block: Image.Image) -> Image.Image:
        pixels = np.asarray(block)
        if block.mode == "F":
            numbers = np.nan_to_num(pixels, nan=0, posinf=white, neginf=0)
            gray = np.rint(np.clip(numbers / white, 0, 1) * 255).astype(np.uint8)
        else:
            # Whole numbers keep their upper 8 bits, as a shift does.
            gray = np.clip(pixels // ((white + 1) // 256), 0, 255).astype(np.uint8)
        if isinstance(clear, int):
            gray[pixels == clear] = 255
        return Image.fromarray(gray).convert("RGB")

    return Tones(to_rgb, guess)


def _says_12_bits(image: Image.Image) -> bool:
    """Whether a TIFF says that its numbers have 12 bits, which Pillow reads as 16."""
    return getattr(image, "tag_v2", {}).get(Tag.BitsPerSample) == (12,)


def range_of(image: Image.Image) -> tuple[float, float]:
    """The least and the largest finite number of a wide image; zeros if there is none."""
    least, most = [], []
    rows = max(1, BAND // image.width)
    for top in range(0, image.height, rows):
        band = (0, top, image.width, min(top + rows, image.height))
        pixels = np.asarray(image.crop(band))
        if image.mode == "F":
            pixels = pixels[np.isfinite(pixels)]
        if pixels.size:
            least.append(float(pixels.min()))
            most.append(float(pixels.max()))
    return (min(least), max(most)) if least else (0.0, 0.0)


def _white(mode: str, high: float) -> tuple[int, str]:
    """The number that means white, and what was guessed."""
    if mode == "F":
        for most, white, guess in (
            (1, 1, ""),
            (_HIGHLIGHT, 1, "floats above 1 are white"),
            (255, 255, "floats of 0 to 255"),
            (65535, 65535, "floats of 0 to 65535"),
        ):
            if high <= most:
                return white, guess
        raise BadImage(
            "unsupported", f"floats of up to {high:.4g}; scale them to the range of 0 to 1 first"
        )
    if 0 < high <= 255:
        return 255, "8 bits in numbers of 16 or 32"
    if 0 < high <= 4095:
        return 4095, "12 bits in numbers of 16 or 32"
    if high > 65535:
        raise BadImage(
            "unsupported", f"whole numbers of up to {high:.0f}; convert them to 8 or 16 bits first"
        )
    return 65535, ""


def _transparent(image: Image.Image) -> Tones:
    if _has_unused_alpha(image):
        # BMP files, and PNG files made of TGA, often leave their fourth byte at 0.
        return Tones(lambda block: block.convert("RGB"), "alpha is 0 everywhere, ignored")
    side = min(_SAMPLE, image.width), min(_SAMPLE, image.height)
    small = image.resize(side, Image.Resampling.NEAREST)
    ground, guess = _ground(np.asarray(small.convert("RGBA")))

    def to_rgb(block: Image.Image) -> Image.Image:
        behind = Image.new("RGBA", block.size, ground)
        return Image.alpha_composite(behind, block.convert("RGBA")).convert("RGB")

    return Tones(to_rgb, guess)


def _has_alpha(image: Image.Image) -> bool:
    return image.mode in _WITH_ALPHA or "transparency" in image.info


def _has_unused_alpha(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "LA") and image.getchannel("A").getextrema() == (0, 0)


def _ground(rgba: np.ndarray) -> tuple[str, str]:
    """The colour behind a transparent image, and what was guessed: white but for light pictures."""
    visible = rgba[..., 3] >= 128
    if visible.all() or not visible.any():
        return "white", ""
    if rgba[visible][:, :3].mean() < _LIGHT:
        return "white", ""
    return "black", "laid on black, as the visible part is white"
