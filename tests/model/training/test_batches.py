import multiprocessing
import shutil

import numpy as np
import pytest
from PIL import Image

from model.training.batches import batches, make_batch
from model.training.pairs import find_pairs

DRAWING = {"batch_size": 2, "resize": 72, "crop": 64}


def pair_of(folder, mask, weight=1.0):
    """One pair with a given mask and a gray photo."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    Image.fromarray(mask).save(folder / "masks" / "one.png")
    Image.new("RGB", mask.shape[::-1], (90, 90, 90)).save(folder / "images" / "one.png")
    return find_pairs(folder, weight)


def test_crops_come_at_all_scales(tmp_path):
    """The mask is a ramp from black to white, so a crop shows less of it the larger the image."""
    ramp = np.tile(np.arange(256, dtype="uint8"), (8, 1))
    pairs = pair_of(tmp_path / "ramp", ramp)
    _, masks = make_batch(pairs, seed=0, step=0, batch_size=200, resize=64, crop=32)
    shares = np.ptp(masks[:, 0, :, 0].astype(int), axis=1) / 255
    # Pasting takes the maximum of two ramps; in the other crops the share is 32 / side.
    counts, _ = np.histogram(shares, np.linspace(0.48, 1.0, 6))
    assert counts.min() > 5


def test_one_image_in_four_gets_the_object_of_another(tmp_path):
    """The left half is object, so the mask is full only if a flipped one was pasted: in 1/8."""
    half = np.zeros((64, 64), "uint8")
    half[:, :32] = 255
    pairs = pair_of(tmp_path / "half", half)
    _, masks = make_batch(pairs, seed=0, step=0, batch_size=400, resize=64, crop=64)
    assert 30 < (masks.min(axis=(1, 2, 3)) == 255).sum() < 70


def test_weights_say_how_often_pairs_are_drawn(tmp_path):
    """One pair is all object, of three times the weight of one without any."""
    full, empty = np.full((40, 40), 255, "uint8"), np.zeros((40, 40), "uint8")
    pairs = pair_of(tmp_path / "full", full, 3.0) + pair_of(tmp_path / "empty", empty)
    _, masks = make_batch(pairs, seed=0, step=0, batch_size=400, resize=40, crop=32)
    # Without pasting 3/4 of the masks are full, with it 15/16.
    assert 0.73 < np.mean(masks.min(axis=(1, 2, 3)) == 255) < 0.86


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
