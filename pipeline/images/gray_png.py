"""Writes gray levels as PNG.

Pillow tries five filters on every row, which takes most of its time. Masks need one: they are maps
enlarged many times, so that their differences from what a filter foretells are long runs.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

import numpy as np
from zlib_ng import zlib_ng

# Eleven masks of 12 megapixels take 12 ms and 327 kB on average, and by Pillow, which packs runs,
# too, 92 ms and 318 kB. Where rows packed like this take 9 ms, zlib takes 45, libdeflate 29 for 4 %
# fewer bytes, and ISA-L 6 for 24 % more.
LEVEL, STRATEGY = 1, zlib_ng.Z_RLE
# Up to so many pixels a filter of several times the work is used: at 1 megapixel it saves 9 % of
# the file, at 12 megapixels 2 %.
SMALL = 1 << 21
# Bytes that are filtered at once.
BAND = 1 << 16

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Numbers of filters.
_NONE, _UP, _PAETH = 0, 2, 4


def gray_png(levels: np.ndarray, one_bit: bool = False) -> bytes:
    """Encodes gray levels.

    Args:
        levels: uint8 (height, width).
        one_bit: Whether to write one bit for each pixel, white where a level is not 0.

    Returns:
        A PNG file of 8 bits, or of one.
    """
    height, width = levels.shape
    filtered = _by_row if one_bit else _paeth if levels.size <= SMALL else _up
    packer = zlib_ng.compressobj(LEVEL, zlib_ng.DEFLATED, 15, 9, STRATEGY)
    packed = [packer.compress(rows) for rows in _filtered(levels, filtered, one_bit)]
    head = struct.pack(">IIBBBBB", width, height, 1 if one_bit else 8, 0, 0, 0, 0)
    pixels = b"".join([*packed, packer.flush()])
    return b"".join(
        [_SIGNATURE, _chunk(b"IHDR", head), _chunk(b"IDAT", pixels), _chunk(b"IEND", b"")]
    )


def _filtered(levels: np.ndarray, function: Callable, one_bit: bool) -> Iterator[np.ndarray]:
    """The bytes of some rows at a time: the number of each row's filter, then what it leaves."""
    rows = max(1, BAND // levels.shape[1])
    last = None
    for top in range(0, len(levels), rows):
        band = levels[top : top + rows]
        if one_bit:
            band = np.packbits(band, axis=1)
        # With the row above them, and a column before: zeros at the edges.
        padded = np.zeros((len(band) + 1, band.shape[1] + 1), np.uint8)
        padded[1:, 1:] = band
        if last is not None:
            padded[0] = last
        last = padded[-1]
        result = np.empty((len(band), band.shape[1] + 1), np.uint8)
        result[:, 0], result[:, 1:] = function(padded)
        yield result


def _up(padded: np.ndarray) -> tuple[int, np.ndarray]:
    """Differences from the row above."""
    return _UP, padded[1:, 1:] - padded[:-1, 1:]


def _by_row(padded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows as they are, or their differences from the row above: what has longer runs."""
    plain, up = padded[1:, 1:], padded[1:, 1:] - padded[:-1, 1:]
    changes = [np.count_nonzero(rows[:, 1:] != rows[:, :-1], axis=1) for rows in (plain, up)]
    is_up = changes[1] < changes[0]
    return np.where(is_up, _UP, _NONE), np.where(is_up[:, None], up, plain)


def _paeth(padded: np.ndarray) -> tuple[int, np.ndarray]:
    """Differences from the left, the upper, or the upper left pixel (the PNG standard, 9.4).

    It is the one that is nearest to left + upper - corner; of those as near, the first.
    """
    left, upper, corner = padded[1:, :-1], padded[:-1, 1:], padded[:-1, :-1]
    from_left, from_upper = _distance(upper, corner), _distance(left, corner)
    from_corner = _distance(from_left, from_upper)
    # On the same side of the corner the sum is farther from it than from either.
    from_corner |= _ones_where((left >= corner) == (upper >= corner))
    is_left = _ones_where((from_left <= from_upper) & (from_left <= from_corner))
    is_upper = _ones_where(from_upper <= from_corner)
    nearest = corner ^ ((corner ^ upper) & is_upper)
    nearest ^= (nearest ^ left) & is_left
    return _PAETH, padded[1:, 1:] - nearest


def _distance(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.maximum(first, second) - np.minimum(first, second)


def _ones_where(condition: np.ndarray) -> np.ndarray:
    """uint8: all eight bits where a condition holds."""
    return np.negative(condition.view(np.uint8))


def _chunk(name: bytes, data: bytes) -> bytes:
    checksum = zlib_ng.crc32(data, zlib_ng.crc32(name))
    return b"".join([struct.pack(">I", len(data)), name, data, struct.pack(">I", checksum)])
