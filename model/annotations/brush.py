"""Run lengths of Label Studio's brush, which are those of the package ``@thi.ng/rle-pack``.

A stream of bits: 32 for the number of values, 5 for the width of a value less 1, and four times 4
for the widths of lengths less 1. Then come runs: a bit that is 1 where one value follows for the
whole run, and 0 where each has its own; two bits that say which of the four widths the length has;
the length less 1; and the value or values. Values are the bytes of an RGBA picture, row by row.
"""

from __future__ import annotations

import numpy as np

from model.annotations.runs import run_lengths

_VALUE = 8
_WIDTHS = (3, 4, 8, 16)
_CHANNELS = 4
_LONGEST = 1 << _WIDTHS[-1]
# Runs that are encoded at once; an even number, so that all begin with background.
_TOGETHER = 1 << 16


def encode_brush(mask: np.ndarray, corner: tuple[int, int], size: tuple[int, int]) -> bytes:
    """The brush stroke of a mask.

    Args:
        mask: bool (h, w), a part of the image.
        corner: (left, top) of the part in the image.
        size: (width, height) of the image.
    """
    counts = run_lengths(mask, corner, size)
    width, height = size
    bits, packed = _head(width * height * _CHANNELS), []
    # Bits take many times the bytes of their runs, so few runs are unpacked at a time.
    for start in range(0, len(counts), _TOGETHER):
        more = _bits_of_runs(counts[start : start + _TOGETHER] * _CHANNELS)
        bits = np.concatenate([bits, more])
        whole = len(bits) // 8 * 8
        packed.append(np.packbits(bits[:whole]).tobytes())
        bits = bits[whole:]
    # The reference ends with one to eight bits of 0.
    packed.append(np.packbits(np.append(bits, np.zeros(8 - len(bits), np.uint8))).tobytes())
    return b"".join(packed)


def _bits_of_runs(counts: np.ndarray) -> np.ndarray:
    """The bits of runs of 0, 255, 0 and so on: uint8 (N,).

    Args:
        counts: Values in each run.
    """
    values = np.where(np.arange(len(counts)) % 2, 255, 0)
    # Runs that are longer than their number of bits allows become several.
    pieces = np.maximum(1, -(-counts // _LONGEST))
    lengths = np.full(pieces.sum(), _LONGEST)
    lengths[np.cumsum(pieces) - 1] = counts - (pieces - 1) * _LONGEST
    values = np.repeat(values, pieces)[lengths > 0]
    lengths = lengths[lengths > 0]
    widths = np.array(_WIDTHS)
    which = np.searchsorted(1 << widths, lengths)
    codes = ((((0b100 + which) << widths[which]) + lengths - 1) << _VALUE) + values
    return _bits(codes, 3 + widths[which] + _VALUE)


def _head(values: int) -> np.ndarray:
    """The bits before the first run: uint8 (53,)."""
    fields = [values, _VALUE - 1, *(width - 1 for width in _WIDTHS)]
    return _bits(np.array(fields), np.array([32, 5, 4, 4, 4, 4]))


def decode_brush(data: bytes, size: tuple[int, int]) -> np.ndarray:
    """The mask of a brush stroke.

    Args:
        data: The encoded stroke.
        size: (width, height) of the image.

    Returns:
        bool (height, width), true where the picture's alpha is at least 128.

    Raises:
        ValueError: The data are damaged, or of another size.
    """
    width, height = size
    reader = _Reader(data)
    total, value_bits = reader.read(32), reader.read(5) + 1
    widths = [reader.read(4) + 1 for _ in range(4)]
    if value_bits != _VALUE or total != width * height * _CHANNELS:
        raise ValueError("a brush stroke is not of the size of its image")
    values = np.zeros(total, np.uint8)
    at = 0
    while at < total:
        is_run = reader.read(1)
        end = at + reader.read(widths[reader.read(2)]) + 1
        if end > total:
            raise ValueError("a brush stroke has more pixels than its image")
        values[at:end] = reader.read(_VALUE) if is_run else reader.bytes(end - at)
        at = end
    return values.reshape(height, width, _CHANNELS)[..., -1] >= 128


def _bits(numbers: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """The lowest bits of numbers, one number after the other: uint8 (sum of widths,)."""
    places = np.arange(int(widths.max(initial=0)))[::-1]
    bits = ((numbers[:, None] >> places) & 1).astype(np.uint8)
    return bits[places < widths[:, None]]


class _Reader:
    """Takes bits from the front of bytes."""

    def __init__(self, data: bytes):
        self._data, self._at = data, 0

    def read(self, width: int) -> int:
        """The next bits, at most 32, as a number."""
        at, self._at = self._at, self._at + width
        if self._at > 8 * len(self._data):
            raise ValueError("a brush stroke is cut short")
        word = int.from_bytes(self._data[at >> 3 : (at >> 3) + 5].ljust(5, b"\0"))
        return (word >> (40 - (at & 7) - width)) & ((1 << width) - 1)

    def bytes(self, count: int) -> np.ndarray:
        """The next bytes, which may begin at any bit: uint8 (count,)."""
        at, self._at = self._at, self._at + 8 * count
        if self._at > 8 * len(self._data):
            raise ValueError("a brush stroke is cut short")
        data = np.frombuffer(
            self._data, np.uint8, count=-(-self._at // 8) - (at >> 3), offset=at >> 3
        )
        return np.packbits(np.unpackbits(data)[at & 7 :][: 8 * count])
