import multiprocessing
import shutil

import numpy as np
import pytest
from PIL import Image

from model.training.data import (
    augment,
    batches,
    degrade,
    find_pairs,
    load_pair,
    make_batch,
    paste,
    split_pairs,
)

DRAWING = {"batch_size": 2, "resize": 72, "crop": 64}


def test_pairs(folder, pairs):
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


def test_crops_keep_image_and_mask_together():
    image = np.zeros((40, 40, 3), "uint8")
    image[5:20, 10:30] = 200
    mask = np.where(image[..., 0] > 0, 255, 0).astype("uint8")
    for seed in range(8):
        pixels, truth = augment(image, mask, 32, np.random.default_rng(seed))
        assert (pixels.dtype, truth.dtype) == ("uint8", "uint8")
        assert (pixels.shape, truth.shape) == ((32, 32, 3), (32, 32))
        gray = pixels.mean(axis=-1)
        assert gray.min() < gray.max()
        np.testing.assert_array_equal(gray > (gray.min() + gray.max()) / 2, truth == 255)


def test_colours_change_pixel_by_pixel():
    image = np.random.default_rng(1).integers(60, 180, (34, 34, 3), "uint8")
    changed, _ = augment(image, image[..., 0], 32, np.random.default_rng(5))
    rng = np.random.default_rng(5)
    top, left = rng.integers(0, len(image) - 32 + 1, size=2)
    flip = rng.random() < 0.5
    brightness, contrast = rng.uniform(0.7, 1.3, size=2)
    saturation = rng.uniform(0.0, 1.6)
    turn = rng.uniform(-0.2, 0.2) * np.pi
    tint = rng.uniform(0.93, 1.07, size=3)
    crop = image[top : top + 32, left : left + 32]
    crop = crop[:, ::-1] if flip else crop
    mean = sum(sum(int(value) for value in pixel) / 3 for row in crop for pixel in row) / 32**2
    for y, x in np.ndindex(32, 32):
        gray = sum(int(value) for value in crop[y, x]) / 3
        hue = crop[y, x] - gray
        # A turn around the axis of greys leaves grey and saturation as they are.
        hue = hue * np.cos(turn) + np.cross(np.ones(3) / 3**0.5, hue) * np.sin(turn)
        for channel in range(3):
            value = gray + saturation * hue[channel]
            value = (contrast * (value - mean) + brightness * mean) * tint[channel]
            assert changed[y, x, channel] == pytest.approx(np.clip(value, 0, 255), abs=1.01)


def test_pasting_keeps_both_objects():
    rng = np.random.default_rng(0)
    image, other = rng.integers(0, 256, (2, 9, 7, 3), "uint8")
    mask, other_mask = rng.integers(0, 256, (2, 9, 7), "uint8")
    mask[:5], other_mask[:, :4] = 255, 0
    pixels, both = paste(image, mask, other, other_mask)
    for y, x in np.ndindex(9, 7):
        share = mask[y, x] / 255
        mixed = share * image[y, x] + (1 - share) * other[y, x]
        np.testing.assert_allclose(pixels[y, x], mixed, atol=0.51)
        assert both[y, x] == max(mask[y, x], other_mask[y, x])


def test_bad_photos_are_still_the_same_photos():
    x, y = np.meshgrid(np.arange(48), np.arange(48))
    photo = np.stack([x * 5, y * 5, 240 - x * 5], axis=-1).astype("uint8")
    photo[16:32, 16:32] = 255
    unlike = []
    for seed in range(60):
        bad = degrade(photo, np.random.default_rng(seed))
        assert (bad.dtype, bad.shape) == (photo.dtype, photo.shape)
        unlike.append(np.abs(bad.astype(int) - photo).mean())
    # Neither blurred nor compressed: 0.8 x 0.6 of them.
    assert 15 <= unlike.count(0) <= 42
    assert 1 < max(unlike) < 16


def test_crops_come_at_all_scales(folder, monkeypatch):
    sides = []
    black = np.zeros((72, 72, 3), "uint8")

    def load(pair, side):
        sides.append(side)
        return black[:side, :side], black[:side, :side, 0]

    monkeypatch.setattr("model.training.data.load_pair", load)
    make_batch(find_pairs(folder), seed=0, step=0, batch_size=300, resize=72, crop=64)
    assert set(sides) == set(range(64, 73))
    # One in four is pasted on another.
    assert 345 <= len(sides) <= 405


def test_batches_are_a_function_of_seed_and_step(pairs):
    whole = list(batches(pairs, range(9), seed=1, **DRAWING))
    rest = list(batches(pairs, range(6, 9), seed=1, **DRAWING))
    for (images, masks), (others, other_masks) in zip(whole[6:], rest, strict=True):
        np.testing.assert_array_equal(images, others)
        np.testing.assert_array_equal(masks, other_masks)
    other_seed, _ = make_batch(pairs, seed=2, step=6, **DRAWING)
    assert (other_seed != rest[0][0]).any()
    assert (whole[0][0] != whole[1][0]).any()


def test_a_worker_that_is_killed_ends_the_batches_with_a_reason(pairs):
    stream = batches(pairs, range(1000), seed=1, **DRAWING)
    next(stream)
    for worker in multiprocessing.active_children():
        worker.kill()
    with pytest.raises(OSError, match="is memory short"):
        for _ in stream:
            pass


def test_an_image_that_cannot_be_read_ends_the_batches_with_its_name(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "set")
    (tmp_path / "set" / "images" / "disc3.jpg").write_bytes(b"no image")
    stream = batches(find_pairs(tmp_path / "set"), range(1000), seed=1, **DRAWING)
    with pytest.raises(ValueError, match=r"cannot read .*disc3\.jpg"):
        for _ in stream:
            pass


def test_weights_say_how_often_pairs_are_drawn(folder, monkeypatch):
    drawn = []
    black = np.zeros((72, 72, 3), "uint8")

    def load(pair, side):
        drawn.append(pair.weight)
        return black[:side, :side], black[:side, :side, 0]

    monkeypatch.setattr("model.training.data.load_pair", load)
    mixed = find_pairs(folder, 3.0) + find_pairs(folder, 1.0)
    make_batch(mixed, seed=0, step=0, batch_size=400, resize=72, crop=32)
    assert 0.68 < np.mean(np.array(drawn) == 3) < 0.82


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
