"""Finds fax-coded TIFFs that end early, which libtiff takes for whole.

It stops at a mark for the end of the page, wherever damage has put one, and leaves the rest of the
pixels as they were in memory without a word. So the strips are decoded again, once over zeros and
once over ones: what differs was never written.
"""

from __future__ import annotations

import ctypes
import os
import tempfile
from collections.abc import Iterator

from PIL import Image

# Pillow's names of the codings.
FAX = ("tiff_ccitt", "group3", "group4")
# Bytes of a strip or tile. An image of a gigapixel in one strip takes half of it.
_MAX_STRIP = 1 << 28


def all_pixels_are_written(tiff: bytes) -> bool:
    """Whether the strips or tiles of a fax-coded TIFF cover its first picture.

    True as well where Pillow has libtiff built in such that it cannot be reached (Windows).

    Args:
        tiff: The whole file.
    """
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
            return all(zeros == ones for zeros, ones in _decoded_twice(libtiff, handle))
        finally:
            libtiff.TIFFClose(handle)


def _decoded_twice(libtiff: ctypes.CDLL, handle: ctypes.c_void_p) -> Iterator[tuple[bytes, bytes]]:
    kind = "Tile" if libtiff.TIFFIsTiled(handle) else "Strip"
    size_of, read = libtiff[f"TIFF{kind}Size"], libtiff[f"TIFFReadEncoded{kind}"]
    size_of.restype = read.restype = ctypes.c_ssize_t
    size = size_of(handle)
    if not 0 < size <= _MAX_STRIP:
        yield b"", b"not to be decoded"
        return
    buffer = ctypes.create_string_buffer(size)
    for number in range(libtiff[f"TIFFNumberOf{kind}s"](handle)):
        found = []
        for ground in (0, 255):
            ctypes.memset(buffer, ground, size)
            length = read(handle, ctypes.c_uint32(number), buffer, ctypes.c_ssize_t(size))
            found.append(ctypes.string_at(buffer, max(0, length)))
        yield found[0], found[1]
