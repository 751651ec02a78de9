"""Colours of 8 or 12 bits that were stored as 16, of which Pillow keeps the upper 8.

Where no upper byte of a colour passes 15, nothing passes 4,095: such files are of a camera's or a
scanner's 12 bits, or of 8, and were not scaled. Gray of 16 bits is read by the same rule in
``tones``.
"""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image, ImageChops
from PIL.ExifTags import Base as Tag

from pipeline.failures import BadImage

# How Pillow unpacks the upper bytes (N is native), and the way that finds the lower ones.
_SWAPPED = {"B": "L", "L": "B", "N": "B"}
# Gray with alpha has no such way: its four bytes are read as four channels.
_GRAY, _BYTES = "LA;16B", "RGBA"
_PLANES = ("R", "G", "B")
_COLOURS = ("RGB", "RGBA", "RGBX", *_PLANES)
# Two copies of a larger image take too much memory. It stays as dark as its numbers say.
MAX_PIXELS = 64_000_000
BAND = 1 << 22
# Of info: what was guessed, for ``tones``.
GUESS = "depth"


def mend_planes(image: Image.Image) -> None:
    """Lets Pillow read planes of 16 bits, each for itself, as what they are instead of 8 bits.

    Args:
        image: A TIFF, not yet decoded. Its tiles are changed.

    Raises:
        BadImage: Pillow has no way to read such a plane.
    """
    tags = image.tag_v2
    if tags.get(Tag.PlanarConfiguration) != 2 or set(tags.get(Tag.BitsPerSample, ())) != {16}:
        return
    bits = f";16{'L' if tags.prefix == b'II' else 'B'}"
    tiles = []
    for tile in image.tile:
        if tile.codec_name == "raw":
            plane, *rest = tile.args
            if plane not in _PLANES and plane != "I":
                raise BadImage(
                    "unsupported",
                    "a TIFF of 16 bits with alpha or inks in planes of their own, which is not "
                    "read; convert it to 8-bit RGB first",
                )
            tile = tile._replace(args=(image.mode if plane == "I" else plane + bits, *rest))
        tiles.append(tile)
    image.tile = tiles


def swapped(image: Image.Image) -> list | None:
    """The tiles of an image, not yet decoded, by which its lower bytes are; None if it has none."""
    tiles = []
    for tile in image.tile:
        if tile.codec_name == "libtiff" and image.tag_v2.get(Tag.PlanarConfiguration) == 2:
            return None  # Pillow has one way only to unpack planes.
        several = isinstance(tile.args, tuple)
        rawmode = tile.args[0] if several else tile.args
        colours, _, bits = str(rawmode).partition(";16")
        mode = _BYTES if rawmode == _GRAY else f"{colours};16{_SWAPPED.get(bits, '')}"
        if mode != _BYTES and (colours not in _COLOURS or bits not in _SWAPPED):
            return None
        tiles.append(tile._replace(args=(mode, *tile.args[1:]) if several else mode))
    return tiles or None


def deepen(image: Image.Image, tiles: list, decode: Callable[[list], Image.Image]) -> None:
    """Makes 8 bits of colours that have 8 or 12 in 16, and says so in the image's ``info``.

    Args:
        image: RGB or RGBA, of which the upper bytes were decoded. It is changed.
        tiles: What ``swapped`` said of it before.
        decode: Decodes the image by other tiles.
    """
    highest = [high for _, high in image.getextrema()]
    if max(highest[:3]) > 15 or image.width * image.height > MAX_PIXELS:
        return
    low = decode(tiles)
    if _BYTES in (tiles[0].args, tiles[0].args[0]):
        _, gray, _, alpha = low.split()
        low = Image.merge("RGBA", (gray, gray, gray, alpha))
    bits = 12 if max(highest[:3]) else 8
    if bits == 8 and max(high for _, high in low.getextrema()[:3]) == 0:
        return  # All is black.
    shift = bits - 8
    from_high = [min(255, value << 8 - shift) for value in range(256)]
    from_low = [value >> shift for value in range(256)]
    # An alpha of 16 bits may stand beside colours of 12.
    scaled = [high <= 15 if band == 3 else True for band, high in enumerate(highest)]
    high_table = [entry for one in scaled for entry in (from_high if one else range(256))]
    low_table = [entry for one in scaled for entry in (from_low if one else [0] * 256)]
    rows = max(1, BAND // image.width)
    for top in range(0, image.height, rows):
        box = (0, top, image.width, min(top + rows, image.height))
        upper_part, lower_part = image.crop(box), low.crop(box)
        part = ImageChops.add(upper_part.point(high_table), lower_part.point(low_table))
        image.paste(part, box)
    image.info[GUESS] = f"{bits} bits in numbers of 16 or 32"
