"""Finds TIFFs whose fax or JPEG coding ends early, which libtiff takes for whole.

Fax coding stops at a mark for the end of the page, wherever damage has put one. A JPEG may have
fewer rows than its strip, as in a file that lost its RowsPerStrip. The rest of the pixels stays as
it was in memory, without a word. So the strips are decoded again, once over zeros and once over
ones: what differs was never written.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import tempfile
from collections.abc import Iterator

from PIL import Image

# Pillow's names of the codings.
CODINGS = ("tiff_ccitt", "group3", "group4", "jpeg", "tiff_jpeg")
# Bytes of a strip or tile. A JPEG of 134 megapixels in one strip takes 400 MB.
_MAX_STRIP = 1 << 29


def all_pixels_are_written(tiff: bytes) -> bool:
    """Whether the strips or tiles of a TIFF of ``CODINGS`` cover its first picture.

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
        handle = ctypes.c_void_p(libtiff.TIFFFdOpen(os.dup(file.fileno()), b"a TIFF", b"r"))
        if not handle:
            return False
        try:
            return all(zeros == ones for zeros, ones in _decoded_twice(libtiff, handle))
        finally:
            libtiff.TIFFClose(handle)


def _decoded_twice(libtiff: ctypes.CDLL, handle: ctypes.c_void_p) -> Iterator[tuple[bytes, bytes]]:
    """Digests of each strip or tile, decoded over zeros and over ones."""
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
            written = memoryview(buffer)[: max(0, length)]
            found.append(hashlib.blake2b(written).digest())
        yield found[0], found[1]
