"""The outline of an object as one polygon, as YOLO has it: holes and parts are bridged."""

from __future__ import annotations

import itertools
from collections import defaultdict

import numpy as np


def outline(mask: np.ndarray) -> np.ndarray:
    """One closed polygon whose inside is a mask.

    It passes between the centres of pixels, so that whoever fills it by centres gets the mask back.
    Each hole, and each further part, is reached by a bridge of no width.

    Args:
        mask: bool (h, w) with a foreground.

    Returns:
        float64 (N, 2), x and y in pixels; (0, 0) is the corner of the mask.
    """
    loops = _loops(mask)
    if len(loops) == 1:
        return _corners(loops[0])
    # Each loop hangs on another at its leftmost point.
    firsts = [int(np.lexsort((loop[:, 1], loop[:, 0]))[0]) for loop in loops]
    loops = [np.roll(loop, -first, axis=0) for loop, first in zip(loops, firsts, strict=True)]
    return _joined(loops, _hung(loops))


def _loops(mask: np.ndarray) -> list[np.ndarray]:
    """The closed outlines of a mask: each float64 (N, 2) without its first point again at its end.

    The inside lies on the same side of all, also of those around holes.
    """
    # Imported here because few jobs need outlines.
    from contourpy import contour_generator

    # Of the background: where pixels touch by a corner, the lower level is one part, and parts of
    # the foreground are 8-connected.
    background = np.pad(~mask, 1, constant_values=True).astype(np.float32)
    lines = contour_generator(z=background).lines(0.5)
    # Pixel 0 of the mask is 1 of the padded, and its centre is half a pixel from its corner.
    return [line[:-1] - 0.5 for line in lines]


def _hung(loops: list[np.ndarray]) -> dict[int, list[tuple[int, int]]]:
    """On which point of which loop others hang: loop to (point, other loop).

    A loop hangs on the nearest point to the left of its own leftmost point in the same row of
    pixels, which a loop around a hole always has. One that has none, a further part, hangs on the
    first point of another such.
    """
    owners = np.repeat(np.arange(len(loops)), [len(loop) for loop in loops])
    points = np.concatenate(loops)
    places = np.concatenate([np.arange(len(loop)) for loop in loops])
    order = np.lexsort((points[:, 0], points[:, 1]))
    rank = np.empty(len(order), int)
    rank[order] = np.arange(len(order))
    starts = np.cumsum([0, *(len(loop) for loop in loops[:-1])])
    hung, roots = defaultdict(list), []
    for loop, start in enumerate(starts):
        before = order[rank[start] - 1] if rank[start] else -1
        if before >= 0 and points[before, 1] == points[start, 1]:
            hung[int(owners[before])].append((int(places[before]), loop))
        else:
            roots.append(loop)
    for root, other in itertools.pairwise(roots):
        hung[root].append((0, other))
    return hung


def _joined(loops: list[np.ndarray], hung: dict[int, list[tuple[int, int]]]) -> np.ndarray:
    """One polygon of all loops. Bridges are gone there and back."""
    points: list[np.ndarray] = []
    # (loop, point to go on from); a stack of its own, as loops may hang on loops a thousand deep.
    waiting: list[tuple[int, int]] = [(_root(hung, len(loops)), 0)]
    children = {loop: sorted(found, reverse=True) for loop, found in hung.items()}
    while waiting:
        loop, at = waiting.pop()
        if left := children.get(loop):
            point, child = left.pop()
            points.append(loops[loop][at : point + 1])
            waiting += [(loop, point), (child, 0)]
        else:
            points += [loops[loop][at:], loops[loop][:1]]
    return _corners(np.concatenate(points)[:-1])


def _root(hung: dict[int, list[tuple[int, int]]], count: int) -> int:
    """The loop that hangs on no other."""
    return (set(range(count)) - {child for found in hung.values() for _, child in found}).pop()


def _corners(points: np.ndarray) -> np.ndarray:
    """A polygon without the points at which it goes straight on."""
    before, after = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    cross = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    goes_on = (cross == 0) & ((before * after).sum(axis=1) > 0)
    return points[~goes_on]
