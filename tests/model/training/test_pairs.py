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


def _write(folder, kind, name, pixels):
    (folder / kind).mkdir(exist_ok=True)
    Image.fromarray(np.uint8(pixels)).save(folder / kind / f"{name}.png")


def test_a_map_of_any_size_shows_the_whole_photo(tmp_path):
    _write(tmp_path, "images", "wide", np.zeros((32, 64, 3)))
    _write(tmp_path, "maps", "wide", np.repeat([[0, 51, 102, 255]], 4, axis=0))
    (pair,) = find_pairs(tmp_path)
    assert pair.mask is None
    image, truth = load_pair(pair, 4)
    assert image.shape == (4, 4, 3)
    np.testing.assert_array_equal(truth, np.repeat([[0, 51, 102, 255]], 4, axis=0))


def test_of_mask_and_map_the_mean_is_learned(tmp_path):
    half, soft = np.zeros((8, 8)), np.full((4, 4), 20)
    half[:, 4:], soft[:, 2:] = 255, 200
    _write(tmp_path, "images", "one", np.zeros((8, 8, 3)))
    _write(tmp_path, "masks", "one", half)
    _write(tmp_path, "maps", "one", soft)
    _, truth = load_pair(find_pairs(tmp_path)[0], 8)
    assert truth.dtype == "uint8"
    np.testing.assert_array_equal(truth[:, [0, 1, 6, 7]], [[10, 10, 228, 228]] * 8)


def test_photos_whose_mask_and_map_disagree_are_left_out_and_counted(tmp_path, capsys):
    for name, found in (("agrees", 5), ("empty", 8), ("disagrees", 7)):
        mask, soft = np.zeros((8, 8)), np.zeros((8, 8))
        # Columns 4 to 7 and 5 to 7 have an IoU of 3/4, 4 to 7 and 7 one of 1/4.
        mask[:, 4 if name != "empty" else 8 :], soft[:, found:] = 255, 255
        _write(tmp_path, "images", name, np.zeros((8, 8, 3)))
        _write(tmp_path, "masks", name, mask)
        _write(tmp_path, "maps", name, soft)
    assert [pair.image.stem for pair in find_pairs(tmp_path)] == ["agrees", "empty"]
    said = capsys.readouterr().out
    assert "1 of 3 photos are left out" in said
    assert "disagrees.png" in said
    for name in ("agrees", "empty"):
        (tmp_path / "images" / f"{name}.png").unlink()
    with pytest.raises(ValueError, match="of all photos in .* mask and map disagree"):
        find_pairs(tmp_path)


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
    (tmp_path / "maps").mkdir()
    with pytest.raises(ValueError, match=r"one\.png has no mask .*one\.png and no map in maps/"):
        find_pairs(tmp_path)
    Image.new("RGB", (20, 10)).save(tmp_path / "images" / "one.jpg")
    with pytest.raises(ValueError, match=r"one\.jpg and .*one\.png have one name"):
        find_pairs(tmp_path)
    (tmp_path / "images" / "one.jpg").unlink()
    Image.new("1", (10, 20)).save(tmp_path / "masks" / "one.png")
    with pytest.raises(ValueError, match=r"one\.png has 20 x 10 pixels, its mask .* has 10 x 20"):
        load_pair(find_pairs(tmp_path)[0], 32)
    (tmp_path / "images" / "one.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"cannot read .*one\.png"):
        load_pair(find_pairs(tmp_path)[0], 32)
