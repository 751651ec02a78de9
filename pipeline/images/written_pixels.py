"""Finds TIFFs whose fax or JPEG coding ends early, which libtiff takes for whole.

The rest of the pixels then stays as it was in memory, without a word. Fax coding stops at a mark
for the end of the page, wherever damage has put one. So its strips are decoded again, once over
zeros and once over ones: what differs was never written. A JPEG may have fewer rows than its strip,
as in a file that has lost its RowsPerStrip. So the head of each is compared with its strip.
"""

from __future__ import annotations

import ctypes
import os
import re
import tempfile
from collections.abc import Iterator

import numpy as np
from PIL import Image, TiffImagePlugin
from PIL.ExifTags import Base as Tag

# Pillow's names of the codings.
_FAX, _JPEG = ("tiff_ccitt", "group3", "group4"), "jpeg"
# Bytes of a strip or tile. An image of a gigapixel in one strip takes half of it.
_MAX_STRIP = 1 << 28
# Start of a segment of a JPEG, and the segments that hold its size.
_MARKER = re.compile(rb"\xff([^\0\xff\x01\xd0-\xd8])", re.DOTALL)
_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_YCBCR, _SEPARATE = 6, 2


def all_pixels_are_written(image: TiffImagePlugin.TiffImageFile, data: bytes) -> bool:
    """Whether the strips or tiles of a TIFF cover its first picture.

    True as well for fax where Pillow has libtiff built in such that it cannot be reached (Windows).

    Args:
        image: The picture.
        data: The whole file.
    """
    coding = image.info.get("compression")
    if coding == _JPEG:
        return _jpegs_are_whole(image.tag_v2, data)
    return coding not in _FAX or _fax_is_whole(image.tag_v2[Tag.ImageWidth], data)


def _jpegs_are_whole(tags: TiffImagePlugin.ImageFileDirectory_v2, data: bytes) -> bool:
    """Whether each JPEG has the rows and columns of its strip or tile."""
    width, height = tags[Tag.ImageWidth], tags[Tag.ImageLength]
    if Tag.TileOffsets in tags:
        columns, rows = tags[Tag.TileWidth], tags[Tag.TileLength]
        starts, lengths = tags[Tag.TileOffsets], tags[Tag.TileByteCounts]
        below = -(-height // rows)
        needed = [(rows, columns)] * below * -(-width // columns)
    else:
        rows = min(tags.get(Tag.RowsPerStrip, height), height)
        starts, lengths = tags[Tag.StripOffsets], tags[Tag.StripByteCounts]
        needed = [(min(rows, height - top), width) for top in range(0, height, rows)]
    if tags.get(Tag.PlanarConfiguration) == _SEPARATE:
        across, down = 1, 1
        if tags.get(Tag.PhotometricInterpretation) == _YCBCR:
            across, down = tags.get(Tag.YCbCrSubSampling, (2, 2))
        smaller = [(-(-rows // down), -(-columns // across)) for rows, columns in needed]
        needed += smaller * (tags.get(Tag.SamplesPerPixel, 1) - 1)
    if min(len(starts), len(lengths)) < len(needed):
        return False
    for start, length, (rows, columns) in zip(starts, lengths, needed, strict=False):
        found_rows, found_columns = _size_of(data[start : start + length])
        if found_rows < rows or found_columns < columns:
            return False
    return True


def _size_of(jpeg: bytes) -> tuple[int, int]:
    """Rows and columns, as the head of a JPEG says; zeros if it does not."""
    position = 2
    while marker := _MARKER.search(jpeg, position):
        start = marker.end()
        if marker[1][0] in _SIZES:
            size = jpeg[start + 3 : start + 7]
            return int.from_bytes(size[:2], "big"), int.from_bytes(size[2:], "big")
        position = start + int.from_bytes(jpeg[start : start + 2], "big")
    return 0, 0


def _fax_is_whole(width: int, tiff: bytes) -> bool:
    """Whether the strips or tiles of a fax-coded TIFF write all of their pixels."""
    libtiff = ctypes.CDLL(Image.core.__file__)
    if not hasattr(libtiff, "TIFFFdOpen"):
        return True
    libtiff.TIFFFdOpen.restype = ctypes.c_void_p
    with tempfile.TemporaryFile() as file:
        file.write(tiff)
        file.seek(0)  # libtiff reads on from where the file stands.
        handle = ctypes.c_void_p(libtiff.TIFFFdOpen(os.dup(file.fileno()), b"fax", b"r"))
        if not handle:
            return False
        try:
            return all(zeros == ones for zeros, ones in _decoded_twice(libtiff, handle, width))
        finally:
            libtiff.TIFFClose(handle)


def _decoded_twice(
    libtiff: ctypes.CDLL, handle: ctypes.c_void_p, width: int
) -> Iterator[tuple[bytes, bytes]]:
    """Each strip or tile as it is decoded over zeros and over ones, without bits beside a row."""
    kind = "Tile" if libtiff.TIFFIsTiled(handle) else "Strip"
    size_of, read = libtiff[f"TIFF{kind}Size"], libtiff[f"TIFFReadEncoded{kind}"]
    size_of.restype = read.restype = ctypes.c_ssize_t
    size = size_of(handle)
    if not 0 < size <= _MAX_STRIP:
        yield b"", b"not to be decoded"
        return
    # A tile is a multiple of 16 pixels wide.
    row, spare = -(-width // 8), -width % 8 if kind == "Strip" else 0
    buffer = np.empty(size, np.uint8)
    for number in range(libtiff[f"TIFFNumberOf{kind}s"](handle)):
        found = []
        for ground in (0, 255):
            buffer[:] = ground
            length = read(
                handle,
                ctypes.c_uint32(number),
                ctypes.c_void_p(buffer.ctypes.data),
                ctypes.c_ssize_t(size),
            )
            if spare:
                buffer[row - 1 :: row] &= 255 << spare & 255
            found.append(buffer[: max(0, length)].tobytes())
        yield found[0], found[1]
