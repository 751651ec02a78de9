"""Which channel of an image is the mask: its gray levels, or its transparency."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageChops

from pipeline.failures import BadImage
from pipeline.images.deep_colours import GUESS
from pipeline.images.photo import gray_levels
from pipeline.images.tones import is_wide, range_of

# Channels of a gray pixel differ by less, also after the rounding of profiles and of JPEG.
_COLOURED = 48
# Where alpha is nowhere below this, it hides nothing and is no mask.
_OPAQUE = 240
# Side of the small copy by which colours are compared with transparency.
_SAMPLE = 256
_GRAY = ("1", "L", "LA", "La")
_WITH_ALPHA = ("RGBA", "LA", "PA", "RGBa", "La")


def mask_channel(image: Image.Image, kind: str) -> Callable[[Image.Image], np.ndarray]:
    """From a block of an image to the mask in it, uint8 (height, width).

    Transparency that varies is the mask. Otherwise gray levels are.

    Args:
        image: The decoded image.
        kind: ``"mask"`` or ``"truth"``: names the reason of a refusal, and its message.

    Raises:
        BadImage: Colours and transparency both look like a mask, and differ. The returned function
            raises it for colours that are not gray.
    """
    if GUESS in image.info:
        raise BadImage(
            f"{kind}_values", f"the {kind} holds {image.info[GUESS]}; save it as 8-bit gray"
        )
    if _alpha_varies(image):
        _check_alpha(image, kind)
        return _alpha
    wide = is_wide(image)
    if wide and kind == "mask":
        _check_range(image)

    def gray(block: Image.Image) -> np.ndarray:
        if not wide and block.mode not in _GRAY and _is_coloured(block.convert("RGB")):
            raise BadImage(
                f"{kind}_values",
                f"the {kind} has colours, as a map of classes has; black and white would do",
            )
        return gray_levels(block)

    return gray


def _alpha(block: Image.Image) -> np.ndarray:
    return np.array(_alpha_channel(block))


def _alpha_channel(image: Image.Image) -> Image.Image:
    if image.mode == "P":
        image = image.convert("RGBA")
    return image.getchannel(image.getbands()[-1])


def _alpha_varies(image: Image.Image) -> bool:
    if image.mode not in _WITH_ALPHA and not (image.mode == "P" and "transparency" in image.info):
        return False
    low, high = _alpha_channel(image).getextrema()
    return low < min(high, _OPAQUE)


def _check_range(image: Image.Image) -> None:
    """Refuses a map whose numbers may mean probabilities of one range or of another."""
    _, high = range_of(image)
    if image.mode == "F" and high > 1.01:
        found = f"floats of up to {high:.4g}; save it with floats of 0 to 1, or as 8-bit gray"
    elif image.mode != "F" and 0 < high <= 255:
        found = f"numbers of 16 or 32 bits, {high:.0f} at most; save it as 8-bit gray"
    else:
        return
    raise BadImage("mask_values", f"the mask holds {found}")


def _check_alpha(image: Image.Image, kind: str) -> None:
    """Refuses an image whose colours are another mask than its transparency."""
    side = min(_SAMPLE, image.width), min(_SAMPLE, image.height)
    sample = np.asarray(image.resize(side, Image.Resampling.NEAREST).convert("RGBA"))
    shown, gray = sample[..., 3] >= 128, sample[..., :3].mean(axis=2)
    white, black = (gray > 192) & shown, (gray < 64) & shown
    bilevel = white.any() and black.any() and (white | black).sum() >= 0.98 * shown.sum()
    if bilevel and ((gray > 128) == shown).mean() < 0.99:
        raise BadImage(
            f"{kind}_values",
            f"both the colours and the transparency of the {kind} could be meant; "
            "save it without transparency",
        )


def _is_coloured(block: Image.Image) -> bool:
    red, green, blue = block.split()
    pairs = ((red, green), (green, blue))
    return max(ImageChops.difference(*pair).getextrema()[1] for pair in pairs) > _COLOURED
