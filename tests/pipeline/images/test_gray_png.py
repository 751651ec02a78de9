"""Gray levels to PNG, read again by Pillow."""

import io
import zlib

import numpy as np
import pytest
from PIL import Image

from pipeline.images import gray_png as module
from pipeline.images.gray_png import gray_png
from pipeline.images.mask import full_size_mask

SHAPES = [(1, 1), (1, 40), (40, 1), (7, 9), (13, 16), (30, 21)]


def read(png):
    return Image.open(io.BytesIO(png))


def levels_of(kind, shape):
    rng = np.random.default_rng(5)
    if kind == "noise":
        return rng.integers(0, 256, shape, dtype=np.uint8)
    if kind == "ramp":
        return np.add.outer(3 * np.arange(shape[0]), np.arange(shape[1])).astype(np.uint8)
    return np.full(shape, {"black": 0, "white": 255}[kind], np.uint8)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["noise", "ramp", "black", "white"])
@pytest.mark.parametrize("small", [0, 1 << 21])
@pytest.mark.parametrize("band", [1, 50, 1 << 16])
def test_levels_come_back_whatever_filter_and_band(monkeypatch, shape, kind, small, band):
    monkeypatch.setattr(module, "SMALL", small)
    monkeypatch.setattr(module, "BAND", band)
    levels = levels_of(kind, shape)
    image = read(gray_png(levels))
    assert (image.format, image.mode, image.size) == ("PNG", "L", shape[::-1])
    np.testing.assert_array_equal(np.asarray(image), levels)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("band", [1, 50, 1 << 16])
def test_bits_come_back(monkeypatch, shape, band):
    monkeypatch.setattr(module, "BAND", band)
    for share in (0, 0.1, 0.5, 1):
        mask = np.random.default_rng(6).random(shape) < share
        image = read(gray_png(mask.astype(np.uint8) * 255, one_bit=True))
        assert (image.format, image.mode, image.size) == ("PNG", "1", shape[::-1])
        np.testing.assert_array_equal(np.asarray(image), mask)


def test_small_images_are_filtered_as_the_standard_says():
    levels = np.random.default_rng(7).integers(0, 4, (9, 12), dtype=np.uint8)
    levels[4:] += np.arange(12, dtype=np.uint8) * 20
    png = gray_png(levels)
    start = png.index(b"IDAT") + 4
    rows = np.frombuffer(zlib.decompress(png[start:-16]), np.uint8).reshape(9, 13)
    assert set(rows[:, 0]) == {4}
    padded = np.pad(levels, ((1, 0), (1, 0))).astype(int)
    for y, x in np.ndindex(9, 12):
        left, above, corner = padded[y + 1, x], padded[y, x + 1], padded[y, x]
        goal = left + above - corner
        nearest = min((left, above, corner), key=lambda value: abs(goal - value))
        assert rows[y, x + 1] == (levels[y, x] - nearest) % 256


@pytest.mark.parametrize("size", [(900, 700), (2400, 1800)])
@pytest.mark.parametrize("threshold", [None, 0.5])
def test_a_mask_takes_at_most_a_tenth_more_bytes_than_pillows_five_filters(size, threshold):
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    edge = 9 * (0.5 - np.hypot(y, x) + 0.1 * np.sin(9 * np.arctan2(y, x)))
    probability = (1 / (1 + np.exp(-edge))).astype(np.float32)
    mask = full_size_mask(probability, size, threshold)
    buffer, image = io.BytesIO(), Image.fromarray(mask)
    if threshold is not None:
        image = image.convert("1")
    image.save(buffer, "PNG", compress_level=1, compress_type=zlib.Z_RLE)
    assert len(gray_png(mask, one_bit=threshold is not None)) <= 1.1 * len(buffer.getvalue())
