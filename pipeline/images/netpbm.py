"""Netpbm files (PBM, PGM, PPM) whose numbers are scaled here, as Pillow does it one by one."""

from __future__ import annotations

import re

import numpy as np

from pipeline.failures import BadImage

# Pillow reads numbers that are written as text in Python.
MAX_TEXT_PIXELS = 1 << 21
# Numbers that are scaled at a time.
_BAND = 1 << 22
NETPBM = tuple(b"P%d" % number + space.encode() for number in range(1, 7) for space in " \t\r\n#")
_SPACE = rb"(?:[ \t\r\n\f\v]|#[^\r\n]*[\r\n])"
_HEAD = re.compile(rb"P([1-6])" + rb"%b+(\d{1,9})" % _SPACE * 2)
_WHITE = re.compile(rb"%b+(\d{1,9})[ \t\r\n\f\v]" % _SPACE)


def with_usual_white(data: bytes) -> bytes:
    """The same picture with 255 or 65,535 for white.

    Gray above 255 becomes 16 bits, all else 8 bits.

    Args:
        data: A Netpbm file.

    Raises:
        BadImage: It is no picture, or text of too many pixels.
    """
    head = _HEAD.match(data[: 1 << 16])
    if head is None:
        raise BadImage("not_an_image", "it begins like a Netpbm image, but no size follows")
    kind, width, height = (int(number) for number in head.groups())
    if kind <= 3 and width * height > MAX_TEXT_PIXELS:
        raise BadImage(
            "too_large",
            f"a Netpbm image of {width} x {height} pixels as text; at most {MAX_TEXT_PIXELS} are "
            "read; save it in binary form (P4, P5 or P6)",
        )
    white = _WHITE.match(data[: 1 << 16], head.end()) if kind in (5, 6) else None
    if white is None or not 0 < (most := int(white[1])) < 65536:
        return data
    if most == 255 or (kind == 5 and most == 65535):
        return data
    is_wide = kind == 5 and most > 255
    stored = np.dtype(">u2" if most > 255 else "u1")
    count = (len(data) - white.end()) // stored.itemsize
    count = min(count, width * height * (1 if kind == 5 else 3))
    numbers = np.frombuffer(data, stored, count, white.end())
    target, full = (np.dtype(">u2"), 65535) if is_wide else (np.dtype("u1"), 255)
    head = b"P%d %d %d %d\n" % (kind, width, height, full)
    written = bytearray(len(head) + count * target.itemsize)
    written[: len(head)] = head
    pixels = np.frombuffer(written, target, count, len(head))
    for start in range(0, count, _BAND):
        band = numbers[start : start + _BAND].astype(np.uint32)
        pixels[start : start + _BAND] = np.minimum((band * full + most // 2) // most, full)
    return bytes(written)
