"""The weighted F-measure, whose errors count by where they are (Margolin et al., CVPR 2014).

Most pixels of a map are right, or as wrong as all around them. Time goes to the others, in blocks
that stay in the processor's cache.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from model.metrics.bits import BitMask
from model.metrics.spatial import bounding_box

_EPSILON = sys.float_info.epsilon
_BLUR_RADIUS = 3
_BLUR = np.exp(-(np.arange(_BLUR_RADIUS + 1) ** 2) / (2 * 5**2))
_BLUR /= 2 * _BLUR.sum() - _BLUR[0]
# In a window around a pixel of the object no pixel is farther from the object than a corner from
# the middle: the root of 18 pixels, which is at most 4 in one direction.
_NEAR_SQUARED = 18
_PAD = 4
_HALF_LIFE = 5  # pixels over which the discount on a false positive halves
# From here on the discount, less than 2^-32, is left out, and no measure changes by more than that.
# Sums of two squares then fit 16 bits.
_REACH = 160
_FAR = (_REACH + 1) ** 2
_DISCOUNT = np.exp2(np.sqrt(np.arange(_FAR)) / -_HALF_LIFE)
# Sides of the blocks, in pixels.
_BLUR_BLOCK = (64, 256)
_DISCOUNT_BLOCK = (128, 128)
# Steps after which it is looked what is left to find.
_LOOK_AFTER = 8

Box = tuple[slice, slice]


def weighted_f(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Weighted F-measure with beta^2 = 1 (Margolin et al., CVPR 2014).

    Inside the object, an error is replaced by the Gaussian mean of the errors around it if that is
    smaller (7 x 7, sigma 5; a pixel outside the object has the error of the nearest pixel of the
    object). Outside, an error is weighted with 2 - 2^(-d / 5), d its distance to the object.

    Args:
        prediction: uint8 (H, W), probability x 255.
        truth: bool (H, W).

    Returns:
        The measure. For an empty truth it is 1 if the map is 0 everywhere, and else 0.
    """
    positives = int(np.count_nonzero(truth))
    if positives == 0:
        return float(not prediction.any())
    outside = prediction * ~truth
    near = bounding_box(truth, _REACH)
    discount = _discount(outside[near], truth[near])
    false_positive = (2 * int(outside.sum(dtype=np.int64)) - discount) / 255
    close = bounding_box(truth, _PAD)
    inside_error = _inside_error(prediction[close], truth[close]) / 255

    recall = max(1 - inside_error / positives, 0.0)
    true_positive = recall * positives
    precision = true_positive / (true_positive + false_positive + _EPSILON)
    return float(2 * recall * precision / (recall + precision + _EPSILON))


def _blocks(shape: tuple[int, int], sides: tuple[int, int]) -> Iterator[Box]:
    """Boxes that cover an array."""
    height, width = shape
    for top, left in itertools.product(range(0, height, sides[0]), range(0, width, sides[1])):
        yield slice(top, min(top + sides[0], height)), slice(left, min(left + sides[1], width))


def _inside_error(prediction: np.ndarray, truth: np.ndarray) -> float:
    """The sum of the errors inside the object, in levels, each no larger than the mean around it.

    Args:
        prediction: uint8 (H, W), the object and the pixels around it, as far as there are any.
        truth: bool (H, W), likewise.
    """
    inside = ~prediction * truth
    errors = np.pad(inside, _PAD)
    _spread(errors, truth)
    total, size = 0.0, 2 * _BLUR_RADIUS
    for rows, columns in _blocks(truth.shape, _BLUR_BLOCK):
        own = inside[rows, columns]
        if not own.any():
            continue
        # Often a thin strip along an edge.
        some_rows, some_columns = bounding_box(own > 0)
        top = rows.start + some_rows.start + _PAD - _BLUR_RADIUS
        left = columns.start + some_columns.start + _PAD - _BLUR_RADIUS
        own = own[some_rows, some_columns]
        window = errors[top : top + own.shape[0] + size, left : left + own.shape[1] + size]
        if window.min() == window.max():
            # The mean of equal errors is that error.
            total += int(own.sum(dtype=np.int64))
        else:
            total += float(np.minimum(_blurred(window), own).sum())
    return total


def _blurred(levels: np.ndarray) -> np.ndarray:
    """Means of the windows in an array, float64 (H - 6, W - 6), by Gaussian weights."""
    width = levels.shape[1]
    # As one row, which is faster; windows over the ends of two rows are left out.
    rows = _means(levels.astype(np.float64).ravel(), width)
    return sliding_window_view(_means(rows, 1), width - 2 * _BLUR_RADIUS)[::width]


def _means(values: np.ndarray, step: int) -> np.ndarray:
    """Means of seven values, each ``step`` after the one before, float64 (N - 6 * step,)."""
    count = len(values) - 2 * _BLUR_RADIUS * step
    middle = _BLUR_RADIUS * step
    result = values[middle : middle + count] * _BLUR[0]
    pair = np.empty_like(result)
    for number in range(1, _BLUR_RADIUS + 1):
        before, after = middle - number * step, middle + number * step
        np.add(values[before : before + count], values[after : after + count], out=pair)
        pair *= _BLUR[number]
        result += pair
    return result


def _spread(errors: np.ndarray, truth: np.ndarray) -> None:
    """Gives the pixels around the object the errors of its nearest pixels.

    Of pixels as near it is the leftmost, and of these the uppermost.

    Args:
        errors: uint8 (H + 8, W + 8), 0 outside the object; changed in place.
        truth: bool (H, W).
    """
    mask = BitMask.of(truth)
    rows, columns = (mask.dilated(_NEAR_SQUARED) - mask).positions()
    stride = errors.shape[1]
    left = (rows + _PAD) * stride + columns + _PAD
    flat, is_object = errors.ravel(), np.pad(truth, _PAD).ravel()
    reach = range(-_PAD, _PAD + 1)
    by_distance = sorted((dy * dy + dx * dx, dx, dy) for dx in reach for dy in reach)
    for squared, dx, dy in by_distance[1:]:
        if squared > _NEAR_SQUARED:
            break
        nearest = left + (dy * stride + dx)
        found = is_object[nearest]
        flat[left[found]] = flat[nearest[found]]
        left = left[~found]


def _discount(outside: np.ndarray, truth: np.ndarray) -> float:
    """The sum of levels, each times 2^(-d / 5), d its distance to the object.

    Args:
        outside: uint8 (H, W), levels outside the object, 0 inside.
        truth: bool (H, W).
    """
    vertical = _vertical_distance(truth)
    width, total = truth.shape[1], 0.0
    for rows, columns in _blocks(truth.shape, _DISCOUNT_BLOCK):
        block = outside[rows, columns]
        if not block.any():
            continue
        some_rows, some = bounding_box(block > 0)
        first, end = columns.start + some.start - _REACH, columns.start + some.stop + _REACH
        known = slice(max(first, 0), min(end, width))
        # Columns become rows: neighbours in a row are then far apart, and what is one pixel aside
        # is one piece of memory.
        squares = np.full((end - first, some_rows.stop - some_rows.start), _FAR, np.uint16)
        heights = vertical[rows][some_rows, known].T
        np.multiply(
            heights,
            heights,
            out=squares[known.start - first : known.stop - first],
            dtype=np.uint16,
        )
        if squares.min() < _FAR:
            total += _discount_of(block[some_rows, some].T, squares)
    return total


def _discount_of(levels: np.ndarray, squares: np.ndarray) -> float:
    """As ``_discount``.

    Args:
        levels: uint8 (W, H), with columns as rows.
        squares: uint16 (W + 2 * ``_REACH``, H), squared distances to the object above or below,
            also of the pixels on the left and on the right.
    """
    counts, width = levels > 0, len(levels)
    if_counted = np.negative(counts, dtype=np.uint16, casting="unsafe")  # All bits, or none.
    nearest = squares[_REACH : _REACH + width].copy()
    found, largest = np.empty_like(nearest), _FAR
    for number, (aside, least) in enumerate(_by_promise(squares, width)):
        if number % _LOOK_AFTER == 0:
            largest = np.bitwise_and(nearest, if_counted, out=found).ravel().max()
        if least >= largest:
            break
        # By Pythagoras, of the nearest pixel in each column.
        np.add(squares[_REACH + aside :][:width], np.uint16(aside * aside), out=found)
        np.minimum(nearest, found, out=nearest)
    found, levels = nearest[counts], levels[counts]
    near = found < _FAR
    # A dot product would depend on the threads of BLAS in its last digits.
    return float((levels[near] * _DISCOUNT[found[near]]).sum())


def _by_promise(squares: np.ndarray, width: int) -> Iterator[tuple[int, int]]:
    """Steps to the left (less than 0) and to the right, by the least that each may find, squared.

    Those come first that may find the least.
    """
    windows = sliding_window_view(squares.min(axis=1), width).min(axis=1)
    least = windows.astype(np.int64) + np.arange(-_REACH, _REACH + 1) ** 2
    order = np.argsort(least)
    return zip((order - _REACH).tolist(), least[order].tolist(), strict=True)


def _vertical_distance(truth: np.ndarray) -> np.ndarray:
    """uint8 (H, W): pixels to the next object above or below, at most ``_REACH`` + 1."""
    outside = (~truth).view(np.uint8)
    distance = np.empty(truth.shape, np.uint8)
    row = np.full(truth.shape[1], _REACH + 1, np.uint8)
    for is_outside, result in zip(outside, distance, strict=True):
        np.minimum(row, _REACH, out=result)
        result += 1
        result *= is_outside
        row = result
    for row, result in itertools.pairwise(distance[::-1]):
        # One more than the row below, which is at most one more than the bound.
        np.minimum(result, row + np.uint8(1), out=result)
    return distance
