import numpy as np
import pytest
from PIL import Image

from model.training.pairs import find_pairs, load_pair, load_whole, split_pairs


def test_pairs_are_found_and_resized_to_squares(folder, pairs):
    assert len(pairs) == 12
    assert pairs[0].name == f"{folder.name}/disc0"
    image, mask = load_pair(pairs[0], 40)
    assert (image.dtype, image.shape) == ("uint8", (40, 40, 3))
    assert (mask.dtype, mask.shape) == ("uint8", (40, 40))
    assert mask.min() == 0
    assert mask.max() == 255


def test_the_split_depends_on_names_alone(pairs):
    training, held_out = split_pairs(pairs, 0.3)
    assert len(training) + len(held_out) == 12
    assert held_out
    fewer = split_pairs(pairs[::2], 0.3)[1]
    assert fewer == [pair for pair in pairs[::2] if pair in held_out]
    assert split_pairs(pairs, 0.0)[1] == []


def test_whole_photos_are_drawn_without_replacement(pairs):
    photos = load_whole(pairs, 5, 64, seed=1)
    assert (photos.dtype, photos.shape) == ("uint8", (5, 64, 64, 3))
    assert len(np.unique(photos.reshape(5, -1), axis=0)) == 5
    np.testing.assert_array_equal(photos, load_whole(pairs, 5, 64, seed=1))
    assert len(load_whole(pairs, 100, 64, seed=1)) == len(pairs)


def test_wrong_folders_and_files_are_named(tmp_path):
    (tmp_path / "masks").mkdir()
    with pytest.raises(ValueError, match="there is no folder .*images"):
        find_pairs(tmp_path)
    (tmp_path / "images").mkdir()
    with pytest.raises(ValueError, match="no images in .*images"):
        find_pairs(tmp_path)
    Image.new("RGB", (20, 10)).save(tmp_path / "images" / "one.png")
    with pytest.raises(ValueError, match=r"one\.png has no mask .*one\.png"):
        find_pairs(tmp_path)
    Image.new("1", (10, 20)).save(tmp_path / "masks" / "one.png")
    with pytest.raises(ValueError, match=r"one\.png has 20 x 10 pixels, its mask .* has 10 x 20"):
        load_pair(find_pairs(tmp_path)[0], 32)
    (tmp_path / "images" / "one.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"cannot read .*one\.png"):
        load_pair(find_pairs(tmp_path)[0], 32)
