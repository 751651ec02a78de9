"""Outlines as one polygon, filled again by other programs."""

import numpy as np
import pytest
from PIL import Image, ImageDraw
from pycocotools import mask as coco

from pipeline.annotations.outline import outline
from tests.model.annotations.masks import MASKS, blobs, noise


def filled_by_centres(points, shape):
    """The pixels whose centres lie inside, by the number of crossings to the left of them."""
    rows, columns = (np.arange(side) + 0.5 for side in shape)
    inside = np.zeros(shape, int)
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        crosses = (y0 <= rows) != (y1 <= rows)
        with np.errstate(divide="ignore", invalid="ignore"):
            at = x0 + (rows - y0) * (x1 - x0) / (y1 - y0)
        inside += crosses[:, None] & (at[:, None] < columns)
    return inside % 2 == 1


CASES = {
    **MASKS,
    "much": noise((90, 70), 3, 0.7),
    "few": blobs(level=0.9),
    "most": blobs(level=0.1),
}


@pytest.mark.parametrize("name", CASES)
def test_the_inside_of_the_polygon_is_the_mask(name):
    mask = CASES[name]
    points = outline(mask)
    # A little down, as bridges run along the centres of rows.
    found = filled_by_centres(points + np.array([0, 1e-6]), mask.shape)
    np.testing.assert_array_equal(found, mask)


@pytest.mark.parametrize("name", ["blobs", "few", "most"])
def test_other_programs_fill_it_but_for_its_border(name):
    mask = CASES[name]
    points = outline(mask)
    height, width = mask.shape
    (encoded,) = coco.frPyObjects([points.ravel().tolist()], height, width)
    assert np.mean(coco.decode(encoded).astype(bool) != mask) < 0.02
    image = Image.new("1", (width, height))
    ImageDraw.Draw(image).polygon([tuple(point) for point in points], fill=1)
    missing = mask & ~np.asarray(image)
    assert missing.mean() < 0.01


def test_points_on_a_straight_line_are_left_out():
    assert len(outline(np.ones((50, 60), bool))) == 8


def test_a_polygon_of_many_parts_and_holes_takes_no_recursion():
    mask = noise((300, 300), 1, 0.5)
    assert len(outline(mask)) > 10_000
