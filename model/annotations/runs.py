"""Masks as lengths of runs: background and foreground in turn, background first."""

from __future__ import annotations

import numpy as np

# Pixels that are looked at together.
_TOGETHER = 1 << 20


def run_lengths(
    part: np.ndarray,
    corner: tuple[int, int] = (0, 0),
    size: tuple[int, int] | None = None,
    *,
    by_columns: bool = False,
) -> np.ndarray:
    """The runs of an image of which a part is given, and whose rest is background.

    Args:
        part: bool (h, w).
        corner: (left, top) of the part in the image.
        size: (width, height) of the image; None for those of the part.
        by_columns: Whether pixels follow one another down the columns, as in COCO, instead of along
            the rows, as in CVAT and Label Studio.

    Returns:
        int64 (N,), of sum width x height. Only the first may be 0.
    """
    left, top = corner
    width, height = size or part.shape[::-1]
    if by_columns:
        part, left, top, width, height = part.T, top, left, height, width
    # A few rows at a time: of a noisy mask, edges take many times the bytes of its pixels.
    step = max(1, _TOGETHER // max(1, part.shape[1]))
    edges = np.concatenate(
        [
            _edges(part[first : first + step], (top + first) * width + left, width)
            for first in range(0, len(part), step)
        ]
        or [np.zeros(0, np.int64)]
    )
    # What ends with a row may go on with the next.
    goes_on = np.flatnonzero(edges[1:] == edges[:-1])
    if len(goes_on):
        edges = np.delete(edges, np.concatenate([goes_on, goes_on + 1]))
    counts = np.diff(edges, prepend=0, append=width * height)
    return counts[:-1] if len(counts) > 1 and counts[-1] == 0 else counts


def _edges(rows: np.ndarray, start: int, width: int) -> np.ndarray:
    """Where runs begin, end, begin, end: pixels of the image, int64 (N,).

    Args:
        rows: bool (h, w), some rows.
        start: Pixel of the image at which they begin.
        width: Of the image.
    """
    padded = np.zeros((rows.shape[0], rows.shape[1] + 2), np.int8)
    padded[:, 1:-1] = rows
    row, column = np.nonzero(np.diff(padded, axis=1))
    return start + row * width + column


def fill_runs(counts: np.ndarray, size: tuple[int, int], *, by_columns: bool = False) -> np.ndarray:
    """The mask of some runs.

    Args:
        counts: int (N,), as of ``run_lengths``; any of them may be 0, and background may be left
            out at the end.
        size: (width, height) of the mask.
        by_columns: As for ``run_lengths``.

    Returns:
        bool (height, width).

    Raises:
        ValueError: The runs do not fit the size.
    """
    width, height = size
    counts = np.asarray(counts)
    if counts.ndim != 1 or counts.dtype.kind not in "iu" or (len(counts) and counts.min() < 0):
        raise ValueError("run lengths are not numbers of pixels")
    # Of each by itself, too: a sum of large ones may overflow.
    pixels = width * height
    if len(counts) and (counts.max() > pixels or counts.sum() > pixels):
        raise ValueError("run lengths are more than the pixels of the image")
    mask = np.zeros(pixels, bool)
    filled = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    mask[: len(filled)] = filled
    return mask.reshape(width, height).T if by_columns else mask.reshape(height, width)
