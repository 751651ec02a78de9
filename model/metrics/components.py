"""Counts the connected parts of binary masks."""

from __future__ import annotations

import numpy as np

from model.metrics.bits import BitMask

# Pixels for each run, at least. Where runs are shorter, as in noise, to label all pixels takes less
# time and memory than to join the runs.
_PIXELS_A_RUN = 32


def count_components(mask: np.ndarray) -> int:
    """Counts the 8-connected parts of a mask, bool (H, W)."""
    first, last = BitMask.of(mask).runs()
    if first.count() * _PIXELS_A_RUN > mask.size:
        # Imported here, as below: they take long, and the first mask is written without them.
        from scipy import ndimage

        return int(ndimage.label(mask, structure=np.ones((3, 3)))[1])
    return _count_joined(*(_places(ends) for ends in (first, last)), first.width + 2)


def _places(ends: BitMask) -> np.ndarray:
    """Numbers of pixels, row by row, with two more in each row so that no rows touch."""
    rows, columns = ends.places()
    return rows * (ends.width + 2) + columns


def _count_joined(first: np.ndarray, last: np.ndarray, stride: int) -> int:
    """Counts what runs make up that touch the runs of the row above.

    Args:
        first: int64 (N,), numbers of the runs' first pixels, ascending.
        last: int64 (N,), of their last.
        stride: What the number of a pixel is larger by than that of the one above it.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    # The runs above that touch a run follow one another: from the first that ends no earlier than
    # at the pixel up left of it, to the last that begins no later than at the one up right.
    begin = np.searchsorted(last, first - stride - 1)
    end = np.searchsorted(first, last - stride + 1, side="right")
    touching = np.concatenate([[0], np.cumsum(end - begin)])
    above = np.arange(touching[-1]) + np.repeat(begin - touching[:-1], end - begin)
    joined = csr_array((np.ones(len(above), bool), above, touching), shape=(len(first),) * 2)
    return int(connected_components(joined, directed=False, return_labels=False))
