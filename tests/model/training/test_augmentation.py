import numpy as np
import pytest

from model.training.augmentation import augment, degrade, paste


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


def test_degraded_photos_stay_similar():
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
