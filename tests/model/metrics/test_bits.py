"""Masks of bits, against the same done to arrays of bytes by SciPy."""

import math

import numpy as np
import pytest
from scipy import ndimage

from model.metrics.bits import BitMask
from tests.model.metrics.plain import SHAPES, boundary, near


def mask_of(shape, share):
    return np.random.default_rng(shape[0]).random(shape) < share


def unpacked(mask):
    bits = np.unpackbits(mask.words.view(np.uint8), axis=1, bitorder="little")
    assert not bits[:, mask.width :].any()
    bits = bits[:, : mask.width].astype(bool)
    return bits.T if mask.is_turned else bits


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("share", [0, 0.03, 0.5, 0.98, 1])
def test_bits_are_the_mask(shape, share):
    mask, other = mask_of(shape, share), mask_of(shape[::-1], 0.5).T
    bits, others = BitMask.of(mask), BitMask.of(other)
    np.testing.assert_array_equal(unpacked(bits), mask)
    np.testing.assert_array_equal(unpacked(bits & others), mask & other)
    np.testing.assert_array_equal(unpacked(bits | others), mask | other)
    np.testing.assert_array_equal(unpacked(bits - others), mask & ~other)
    assert bits.count() == mask.sum()
    assert set(zip(*bits.positions(), strict=True)) == set(zip(*np.nonzero(mask), strict=True))
    assert sorted(bits.shape) == sorted(shape)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("share", [0.03, 0.98, 1])
@pytest.mark.parametrize("radius", [1, 2, 3, 5, 31, 70])
def test_erosion_equals_repeated_small_ones(shape, share, radius):
    mask = mask_of(shape, share)
    bits = BitMask.of(mask)
    expected = ndimage.binary_erosion(mask, np.ones((3, 3)), iterations=radius)
    np.testing.assert_array_equal(unpacked(bits.eroded(radius)), expected)
    np.testing.assert_array_equal(unpacked(bits.boundary(radius)), boundary(mask, radius))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("share", [0, 0.03, 0.5])
@pytest.mark.parametrize("squared", [1, 2, 9, 18, 6000])
def test_a_disk_reaches_exactly_its_radius(shape, share, squared):
    mask = mask_of(shape, share)
    expected = near(mask, math.sqrt(squared) + 1e-9)
    np.testing.assert_array_equal(unpacked(BitMask.of(mask).dilated(squared)), expected)


@pytest.mark.parametrize("shape", [(1, 10**7), (10**7, 1)])
def test_a_thin_mask_takes_no_memory_for_what_it_does_not_have(shape):
    """With margins on all sides it would have 10^14 pixels, with a word for each row 80 MB."""
    mask = BitMask.of(np.ones(shape, bool))
    assert mask.words.nbytes <= 10**7
    assert mask.eroded(10**5).count() == 0


@pytest.mark.parametrize("shape", SHAPES)
def test_runs_begin_and_end_where_a_neighbour_differs(shape):
    mask = mask_of(shape, 0.6)
    bits = BitMask.of(mask)
    along = np.pad(mask.T if bits.is_turned else mask, ((0, 0), (1, 1)))
    middle, left, right = along[:, 1:-1], along[:, :-2], along[:, 2:]
    for ends, beside in zip(bits.runs(), (left, right), strict=True):
        found = unpacked(ends)
        np.testing.assert_array_equal(found.T if ends.is_turned else found, middle & ~beside)
