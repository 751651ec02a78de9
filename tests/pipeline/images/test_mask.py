"""Maps to masks at full size, and their PNG."""

import io

import numpy as np
import pytest
from PIL import Image

from pipeline.images import mask as masks
from pipeline.images.mask import encode_mask, full_size_mask
from tests.hostile.attempt import peak_memory


def smooth(size=8, seed=0):
    return np.random.default_rng(seed).random((size, size)).astype(np.float32)


def enlarged(values, width, height):
    """Bilinear interpolation between pixel centres, edges held; a plain loop."""
    rows, columns = values.shape
    result = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            v = min(max((y + 0.5) * rows / height - 0.5, 0), rows - 1)
            u = min(max((x + 0.5) * columns / width - 0.5, 0), columns - 1)
            top, left = int(v), int(u)
            below, right = min(top + 1, rows - 1), min(left + 1, columns - 1)
            b, a = v - top, u - left
            upper = values[top, left] * (1 - a) + values[top, right] * a
            lower = values[below, left] * (1 - a) + values[below, right] * a
            result[y, x] = upper * (1 - b) + lower * b
    return result


@pytest.mark.parametrize("size", [(8, 8), (16, 16), (20, 31), (64, 9)])
def test_a_map_is_enlarged_by_bilinear_interpolation(size):
    probability = smooth()
    mask = full_size_mask(probability, size, None)
    assert mask.dtype == np.uint8 and mask.shape == size[::-1]
    expected = enlarged(probability.astype(float), *size) * 255
    assert np.abs(mask - expected).max() <= 0.51


@pytest.mark.parametrize("size", [(40, 31), (31, 40), (3, 5), (500, 3)])
@pytest.mark.parametrize("columns", [1, 7, 30])
@pytest.mark.parametrize("threshold", [None, 0.5])
def test_a_mask_made_in_parts_is_the_one_made_at_once(monkeypatch, size, columns, threshold):
    probability = smooth(seed=3)
    whole = full_size_mask(probability, size, threshold)
    monkeypatch.setattr(masks, "COLUMNS", columns)
    difference = np.abs(full_size_mask(probability, size, threshold).astype(int) - whole)
    # The last bit of an interpolation may differ, and with it a rounding here and there.
    assert (difference > (threshold is None)).mean() <= 0.001


def test_a_wide_flat_mask_takes_no_memory_for_rows_that_it_does_not_have():
    """A map of 192 rows as wide as the image would take 2.3 GB."""
    small, before = smooth(192), peak_memory()
    assert full_size_mask(small, (3_000_000, 1), None).shape == (1, 3_000_000)
    assert peak_memory() - before < 200


def test_a_map_of_the_images_size_is_only_rounded():
    probability = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)
    mask = full_size_mask(probability, (16, 16), None)
    np.testing.assert_array_equal(mask.ravel(), np.arange(256))


@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (300, 2), (16, 16)])
@pytest.mark.parametrize("value", [0.0, 0.25, 0.5, 1.0])
def test_a_constant_map_stays_constant_and_is_never_stretched(size, value):
    mask = full_size_mask(np.full((16, 16), value, np.float32), size, None)
    assert mask.shape == size[::-1]
    assert np.abs(mask.astype(float) - 255 * value).max() <= 0.51


def test_making_it_smaller_averages():
    probability = np.zeros((8, 8), np.float32)
    probability[:, 4:] = 1
    assert full_size_mask(probability, (1, 1), None).tolist() == [[128]]


@pytest.mark.parametrize("value", [1.0009, -0.0009])
def test_what_rounding_adds_beyond_zero_and_one_is_cut_off(value):
    mask = full_size_mask(np.full((4, 4), value, np.float32), (4, 4), None)
    assert (mask == (255 if value > 0.5 else 0)).all()


@pytest.mark.parametrize(("largest", "expected"), [(0.4, 0), (1.4, 0), (1.6, 2), (2.4, 2)])
def test_a_map_that_nowhere_passes_level_1_is_written_as_empty(largest, expected):
    """Zeros and ones would be read as a mask by others, and are refused with --masks."""
    probability = np.zeros((8, 8), np.float32)
    probability[2:5, 3:6] = largest / 255
    mask = full_size_mask(probability, (8, 8), None)
    assert mask.max() == expected
    # With a threshold, 1 / 255 is a probability like any other.
    assert (full_size_mask(probability, (8, 8), 0.001) == 255).any()


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.9])
def test_the_threshold_is_applied_at_full_size_to_what_reaches_it(threshold):
    probability = smooth(seed=1)
    mask = full_size_mask(probability, (24, 17), threshold)
    assert mask.dtype == np.uint8 and set(np.unique(mask)) <= {0, 255}
    expected = enlarged(probability.astype(float), 24, 17)
    clear = np.abs(expected - threshold) > 1e-5
    assert clear.mean() > 0.9
    np.testing.assert_array_equal((mask == 255)[clear], (expected >= threshold)[clear])


def test_exactly_the_threshold_is_foreground():
    half = np.full((4, 4), 0.5, np.float32)
    assert (full_size_mask(half, (4, 4), 0.5) == 255).all()
    assert (full_size_mask(half, (4, 4), 0.50001) == 0).all()
    assert (full_size_mask(np.ones((4, 4), np.float32), (9, 9), 1.0) == 255).all()


@pytest.mark.parametrize("shape", [(1, 1), (7, 13), (40, 3)])
def test_an_encoded_mask_comes_back_as_it_was(shape):
    gray = np.random.default_rng(2).integers(0, 256, shape, dtype=np.uint8)
    image = Image.open(io.BytesIO(encode_mask(gray, binary=False)))
    assert (image.format, image.mode) == ("PNG", "L")
    np.testing.assert_array_equal(np.asarray(image), gray)
    binary = np.where(gray > 99, np.uint8(255), np.uint8(0))
    image = Image.open(io.BytesIO(encode_mask(binary, binary=True)))
    assert (image.format, image.mode) == ("PNG", "1")
    np.testing.assert_array_equal(np.asarray(image.convert("L")), binary)
