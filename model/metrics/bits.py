"""Binary masks as bits, 64 pixels in a number, in an eighth of the memory of bytes.

Everything outside the image counts as background.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

_WORD = 64


@dataclass(frozen=True, eq=False)
class BitMask:
    """A binary mask.

    Attributes:
        words: uint64 (H, ceil(W / 64)). Pixel x of a row is bit x % 64 of word x // 64; the bits
            beyond the last pixel are 0.
        width: W.
        is_turned: Whether rows are the columns of the image.
    """

    words: np.ndarray
    width: int
    is_turned: bool

    @classmethod
    def of(cls, mask: np.ndarray) -> BitMask:
        """Packs a mask.

        Args:
            mask: bool (H, W). One that is narrower than a word is turned first: each of its rows
                would take a word.
        """
        is_turned = mask.shape[1] < _WORD < mask.shape[0]
        if is_turned:
            mask = mask.T
        height, width = mask.shape
        packed = np.packbits(mask, axis=1, bitorder="little")
        words = np.zeros((height, -(-width // _WORD)), "<u8")
        words.view(np.uint8)[:, : packed.shape[1]] = packed
        return cls(words, width, is_turned)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns as they are packed."""
        return len(self.words), self.width

    def __and__(self, other: BitMask) -> BitMask:
        """Where both are True."""
        return self._with(self.words & other.words)

    def __or__(self, other: BitMask) -> BitMask:
        """Where either is True."""
        return self._with(self.words | other.words)

    def __sub__(self, other: BitMask) -> BitMask:
        """Where this one is True and the other is not."""
        return self._with(self.words & ~other.words)

    def count(self) -> int:
        """Pixels that are True."""
        return int(np.bitwise_count(self.words).sum(dtype=np.int64))

    def positions(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the pixels that are True, in the image."""
        rows, columns = self.places()
        return (columns, rows) if self.is_turned else (rows, columns)

    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the pixels that are True as they are packed, row by row."""
        filled = np.flatnonzero(self.words)
        some = self.words.ravel()[filled]
        bits = np.unpackbits(some.view(np.uint8), bitorder="little").reshape(-1, _WORD)
        which, bit = np.nonzero(bits)
        rows, words = np.divmod(filled[which], self.words.shape[1])
        return rows, words * _WORD + bit

    def eroded(self, radius: int) -> BitMask:
        """Erodes by a square of side 2 * radius + 1: as often by one of 3 x 3.

        Args:
            radius: In pixels, at least 1.
        """
        height, side = len(self.words), 2 * radius + 1
        result = np.zeros_like(self.words)
        if side <= min(height, self.width):
            rows = self.words
            for step in _doubling(side):
                rows = rows[:-step] & rows[step:]
            for step in _doubling(side):
                rows = rows & _moved(rows, step)
            result[radius : height - radius] = _moved(rows, -radius)
        return self._with(result)

    def dilated(self, squared: int) -> BitMask:
        """Dilates by a disk: True within a distance, Euclidean, of a True.

        Args:
            squared: The square of the distance, in pixels. The time grows with its root.
        """
        height = len(self.words)
        result = np.zeros_like(self.words)
        wide, half = self.words, 0
        # From the disk's outermost rows, which are its narrowest, inwards.
        for dy in range(min(math.isqrt(squared), height - 1), -1, -1):
            while (half + 1) ** 2 <= squared - dy * dy:
                half += 1
                wide = wide | _moved(self.words, half) | _moved(self.words, -half)
            result[dy:] |= wide[: height - dy]
            result[: height - dy] |= wide[dy:]
        return self._with(self._within(result))

    def boundary(self, width: int) -> BitMask:
        """What an erosion removes."""
        return self - self.eroded(width)

    def runs(self) -> tuple[BitMask, BitMask]:
        """The first and the last pixels of the runs in each row."""
        left, right = _moved(self.words, -1), _moved(self.words, 1)
        return self._with(self.words & ~left), self._with(self.words & ~right)

    def _with(self, words: np.ndarray) -> BitMask:
        return BitMask(words, self.width, self.is_turned)

    def _within(self, words: np.ndarray) -> np.ndarray:
        """Clears the bits beyond the last pixel."""
        if spare := -self.width % _WORD:
            words[:, -1] &= np.uint64((1 << _WORD - spare) - 1)
        return words


def _doubling(side: int) -> Iterator[int]:
    """Steps by which the AND over windows of 1 becomes one over windows of a side.

    The AND over a window is that of two windows of half its size or more.
    """
    span = 1
    while span < side:
        step = min(span, side - span)
        yield step
        span += step


def _moved(words: np.ndarray, by: int) -> np.ndarray:
    """Moves rows to the left (to the right, if negative); False comes in."""
    count = words.shape[1]
    far, near = divmod(by, _WORD)
    result = np.zeros_like(words)
    for skipped, down in ((far, near), (far + 1, near - _WORD)):
        if down > -_WORD and abs(skipped) < count:
            source = words[:, max(skipped, 0) : count + min(skipped, 0)]
            target = result[:, max(-skipped, 0) : count - max(skipped, 0)]
            target |= source >> down if down >= 0 else source << -down
    return result
