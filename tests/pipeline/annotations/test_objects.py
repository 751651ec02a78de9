"""Objects of a mask against plain loops."""

import numpy as np
import pytest

from pipeline.annotations.objects import connected_objects, whole_object
from tests.model.annotations.masks import MASKS


def levels_of(mask):
    """Levels that reach the foreground just where the mask does."""
    levels = np.random.default_rng(1).integers(0, 128, mask.shape)
    return (levels + 128 * mask).astype(np.uint8)


def assert_is(one, levels, pixels):
    """One object has the given pixels, of (row, column)."""
    left, top, width, height = one.box
    found = {(top + y, left + x) for y, x in zip(*np.nonzero(one.mask), strict=True)}
    assert found == pixels and one.area == len(pixels)
    assert one.mask.shape == (height, width)
    assert (
        one.mask[0].any() and one.mask[-1].any() and one.mask[:, 0].any() and one.mask[:, -1].any()
    )
    assert one.score == pytest.approx(np.mean([levels[at] / 255 for at in pixels]))


def parts(mask):
    """The 8-connected parts, by spreading from pixel to pixel."""
    left = set(zip(*(axis.tolist() for axis in np.nonzero(mask)), strict=True))
    while left:
        part, border = set(), [min(left)]
        while border:
            y, x = border.pop()
            if (y, x) in left:
                left.remove((y, x))
                part.add((y, x))
                border += [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
        yield part


@pytest.mark.parametrize("name", MASKS)
def test_objects_equal_those_of_plain_loops(name):
    mask = MASKS[name]
    levels, expected = levels_of(mask), list(parts(mask))
    (whole,) = whole_object(levels)
    assert_is(whole, levels, set().union(*expected))
    for least in (1, 4):
        large = [part for part in expected if len(part) >= least]
        objects, dropped = connected_objects(levels, least)
        assert dropped == len(expected) - len(large)
        assert len(objects) == len(large)
        for one, part in zip(objects, large, strict=True):
            assert_is(one, levels, part)


def test_an_image_without_foreground_has_no_object():
    levels = np.full((4, 5), 127, np.uint8)
    assert whole_object(levels) == []
    assert connected_objects(levels, 1) == ([], 0)
