"""What is marked where there is no object."""

import numpy as np
import pytest

from benchmarks.empty_photos import KINDS, made_photos, measure


def _marks(share):
    """A network that is sure of an object in the upper part of each photo."""

    def segment(images):
        maps = np.zeros(images.shape[:3], np.float32)
        maps[:, : round(share * images.shape[1])] = 1
        return maps

    segment.image_size = 64
    return segment


def test_the_share_that_is_marked_is_measured_of_each_photo():
    photos = made_photos()
    assert list(photos) == list(KINDS)
    *rows, mean = measure(photos, {"nothing": _marks(0), "half": _marks(0.5)})
    assert [row["photo"] for row in rows] == list(KINDS)
    assert {row["nothing: object"] for row in rows} == {0}
    assert {row["half: object"] for row in rows} == {0.5}
    assert mean["half: object"] == pytest.approx(0.5)
    assert 0 < mean["half: unsure"] < 0.1
