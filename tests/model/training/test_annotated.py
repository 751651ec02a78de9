"""Photos and the masks that label tools export of them."""

import json

import numpy as np
import pytest
from PIL import Image

from model.training.annotated import find_annotated
from model.training.pairs import load_pair

SQUARE = [[2, 2, 10, 2, 10, 10, 2, 10]]


@pytest.fixture
def photos(tmp_path):
    """Photos in folders."""
    for name in ("a.jpg", "c/b.jpg", "c/none.png"):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 16), "green").save(tmp_path / "photos" / name)
    (tmp_path / "photos" / "notes.txt").write_text("")
    return tmp_path / "photos"


def write_coco(path, *names):
    images = [{"id": n, "file_name": n, "width": 20, "height": 16} for n in names]
    annotations = [{"image_id": "c/b.jpg", "category_id": 1, "segmentation": SQUARE}]
    path.write_text(json.dumps({"images": images, "annotations": annotations}))
    return path


def test_photos_of_an_annotation_file_have_its_masks(tmp_path, photos, capsys):
    coco = write_coco(tmp_path / "coco.json", "c/b.jpg", "a.jpg", "lost.jpg")
    first, second = find_annotated(photos, coco, tmp_path / "drawn", 2.0)
    assert [first.name, second.name] == ["photos/a.jpg", "photos/c/b.jpg"]
    assert (first.image, first.weight) == (photos / "a.jpg", 2.0)
    # Looked at and without an object.
    assert load_pair(first, 32)[1].max() == 0
    mask = np.zeros((16, 20), np.uint8)
    mask[2:10, 2:10] = 255
    np.testing.assert_array_equal(np.asarray(Image.open(second.mask).convert("L")), mask)
    assert capsys.readouterr().out.splitlines() == [
        f"{photos}: 1 files .txt are not read, such as {photos}/notes.txt",
        f"{coco}: 1 masks mean no photo, or one that another means, such as lost.jpg",
        f"{coco}: 1 photos have no mask and are left out, such as c/none.png",
    ]


def test_masks_of_another_size_are_left_out(tmp_path, photos, capsys):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (16, 20)).save(photos / "a.jpg", exif=exif)
    Image.new("RGB", (20, 16)).save(photos / "c" / "b.jpg", exif=exif)
    coco = write_coco(tmp_path / "coco.json", "c/b.jpg", "a.jpg", "c/none.png")
    found = find_annotated(photos, coco, tmp_path / "drawn")
    assert [pair.name for pair in found] == ["photos/a.jpg", "photos/c/none.png"]
    assert load_pair(found[0], 32)[1].max() == 0
    assert f"{coco}: 1 masks are not of the size of their photo, such as c/b.jpg" in (
        capsys.readouterr().out
    )


def test_a_folder_of_masks_may_have_folders(tmp_path, photos):
    (tmp_path / "masks" / "c").mkdir(parents=True)
    Image.new("1", (20, 16), 1).save(tmp_path / "masks" / "c" / "b.png")
    (pair,) = find_annotated(photos, tmp_path / "masks", tmp_path / "drawn")
    assert (pair.image, pair.mask) == (photos / "c" / "b.jpg", tmp_path / "masks" / "c" / "b.png")


def test_what_fits_nothing_is_refused(tmp_path, photos):
    coco = write_coco(tmp_path / "coco.json", "lost.jpg")
    with pytest.raises(ValueError, match=r"coco\.json has no mask of a photo in .*photos"):
        find_annotated(photos, coco, tmp_path / "drawn")
    coco.write_text("text")
    with pytest.raises(ValueError, match=r"coco\.json cannot be read: it is neither JSON"):
        find_annotated(photos, coco, tmp_path / "drawn")
    with pytest.raises(ValueError, match="there is no folder .*nowhere"):
        find_annotated(photos, tmp_path / "nowhere", tmp_path / "drawn")
    with pytest.raises(ValueError, match=r"must be positive, got 0"):
        find_annotated(photos, coco, tmp_path / "drawn", 0)
