"""Photos of a size and number."""

import os

import numpy as np
from PIL import Image

from benchmarks.photos import link_first, make_photos


def test_photos_have_the_size_that_was_asked_for(tmp_path):
    paths = make_photos(tmp_path / "photos", 13, 0.02)
    assert sorted((tmp_path / "photos").iterdir()) == paths
    sizes = [Image.open(path).size for path in paths]
    assert all(abs(width * height / 0.02e6 - 1) < 0.02 for width, height in sizes)
    assert len(set(sizes)) > 1
    # Eleven are there; the others are further names.
    assert len({os.stat(path).st_ino for path in paths}) == 11
    assert paths[11].read_bytes() == paths[0].read_bytes()
    assert paths[0].read_bytes() != paths[1].read_bytes()


def test_photos_can_be_made_of_others(tmp_path):
    Image.new("RGB", (60, 30), (200, 40, 90)).save(tmp_path / "red.jpg")
    (tmp_path / "notes.txt").write_text("no photo")
    paths = make_photos(tmp_path / "photos", 2, 0.005, tmp_path)
    pixels = np.asarray(Image.open(paths[0]), float)
    assert pixels.shape == (50, 100, 3)
    np.testing.assert_allclose(pixels.mean((0, 1)), (200, 40, 90), atol=3)


def test_the_first_photos_make_a_folder_of_their_own(tmp_path):
    paths = [tmp_path / name for name in ("a.jpg", "b.jpg", "c.jpg")]
    for path in paths:
        path.write_text(path.stem)
    link_first(paths, 2, tmp_path / "few")
    found = {path.name: path.read_text() for path in (tmp_path / "few").iterdir()}
    assert found == {"a.jpg": "a", "b.jpg": "b"}
