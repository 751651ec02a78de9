"""Shapes to masks, against pycocotools and plain loops; and shapes that lie."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco

from model.annotations.drawings import (
    BadDrawing,
    Brush,
    Drawing,
    Polygon,
    Runs,
    coco_counts,
    draw,
)
from tests.model.annotations.masks import MASKS, noise


def drawn(*shapes, size=(9, 7)):
    return draw(Drawing("a", size, shapes), 1000)


@pytest.mark.parametrize("name", MASKS)
def test_the_text_of_run_lengths_is_read_as_pycocotools_writes_it(name):
    mask = MASKS[name]
    text = coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    height, width = mask.shape
    found = draw(Drawing("a", (width, height), (Runs(text),)), 10**6)
    np.testing.assert_array_equal(found, mask)


def test_a_large_mask_takes_numbers_of_many_characters():
    mask = noise((3000, 2000), share=0.01)
    text = coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    np.testing.assert_array_equal(draw(Drawing("a", (3000, 2000), (Runs(text),)), 10**7), mask)


@given(st.text(alphabet=[chr(code) for code in range(40, 120)], max_size=30))
def test_any_text_is_run_lengths_or_refused(text):
    try:
        assert coco_counts(text).dtype == np.int64
        drawn(Runs(text))
    except BadDrawing as error:
        assert "run lengths" in str(error)
    except ValueError as error:
        assert "run lengths" in str(error)


def test_foreground_is_what_any_shape_covers():
    square = Polygon([1, 1, 4, 1, 4, 3, 1, 3])
    expected = np.zeros((7, 9), bool)
    expected[1:3, 1:4] = True
    np.testing.assert_array_equal(drawn(square), expected)
    expected[3, 0] = True
    np.testing.assert_array_equal(drawn(square, Runs([3, 1])), expected)
    expected[4:6, 2:6] = [[1, 0, 1, 1], [1, 1, 0, 0]]
    np.testing.assert_array_equal(
        drawn(square, Runs([3, 1]), Runs([0, 1, 1, 4, 2], (2, 4, 4, 2))), expected
    )
    assert not drawn().any()


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (Polygon([1, 1, 2, 2]), "fewer than three points"),
        (Polygon([1, 1, 2, 2, 3]), "fewer than three points"),
        (Polygon([1, 1, 2, 2, 1e30, 3]), "leaves the image"),
        (Polygon([1, 1, 2, 2, float("nan"), 3]), "leaves the image"),
        (Polygon([1, 1, 2, "x", 3, 3]), "could not convert"),
        (Runs([64]), "more than the pixels"),
        (Runs([10**30]), "not numbers of pixels"),
        (Runs([1.5]), "not numbers of pixels"),
        (Runs("1" * 9 + "~"), "damaged"),
        (Runs("\u2028"), "codec"),
        (Runs([1], (8, 0, 2, 1)), "leaves the image"),
        (Runs([1], (-1, 0, 2, 1)), "leaves the image"),
        (Runs([1], (0, 0, -3, 1)), "has no pixels"),
        (Brush(b"abc"), "cut short"),
    ],
)
def test_shapes_that_cannot_be_drawn_are_refused(shape, message):
    with pytest.raises(BadDrawing, match=message):
        drawn(shape)


@pytest.mark.parametrize(("size", "message"), [((0, 5), "not given"), ((10**6, 10**6), "over")])
def test_sizes_that_cannot_be_are_refused(size, message):
    with pytest.raises(BadDrawing, match=message):
        drawn(size=size)
