"""Small photos with their masks over them."""

import io

import numpy as np
import pytest
from PIL import Image

from pipeline.images import overlay
from pipeline.images.overlay import draw_overlay
from tests.pipeline.encoded import encode


def drawn(photo, mask, suffix="PNG", **options):
    return Image.open(io.BytesIO(draw_overlay(encode(photo, suffix, **options), mask)))


@pytest.mark.parametrize(
    ("size", "expected"),
    [((300, 200), (300, 200)), ((4096, 1000), (1024, 250)), ((1, 3000), (1, 1024))],
)
def test_the_longer_side_is_bounded_and_small_photos_stay_as_they_are(size, expected):
    picture = drawn(Image.new("RGB", size), np.zeros(size[::-1], np.uint8))
    assert (picture.format, picture.mode, picture.size) == ("JPEG", "RGB", expected)


def test_the_object_is_tinted_and_outlined_and_the_rest_is_the_photo():
    mask = np.zeros((200, 200), np.uint8)
    mask[50:150, 50:150] = 255
    pixels = np.asarray(drawn(Image.new("RGB", (200, 200), (90, 90, 90)), mask), int)
    assert np.abs(pixels[:40] - 90).max() <= 4
    inside = 90 + overlay.STRENGTH * (np.array(overlay.TINT) - 90)
    assert np.abs(pixels[80:120, 80:120] - inside).max() <= 4
    assert np.abs(pixels[50, 60:140].mean(0) - overlay.OUTLINE).max() < 30


def test_a_turned_photo_is_upright():
    exif = Image.Exif()
    exif[274] = 6
    photo = Image.new("RGB", (300, 200))
    photo.paste((0, 200, 0), (0, 0, 150, 200))  # Upright, the upper half.
    mask = np.zeros((300, 200), np.uint8)
    picture = drawn(photo, mask, "JPEG", exif=exif)
    assert picture.size == (200, 300)
    pixels = np.asarray(picture, int)
    assert pixels[:140, :, 1].min() > 180 and pixels[160:].max() < 20


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "I;16", "1"])
def test_photos_of_every_mode_are_drawn(mode):
    suffix = "TIFF" if mode == "CMYK" else "PNG"
    picture = drawn(Image.new(mode, (40, 30)), np.full((30, 40), 200, np.uint8), suffix)
    assert picture.size == (40, 30)
