"""Colours of 8 and 12 bits in 16, and those that are dark indeed."""

import numpy as np
import pytest

from pipeline.failures import BadImage
from pipeline.images import deep_colours
from pipeline.images.photo import decode_image
from pipeline.images.truth import decode_mask, decode_truth
from tests.pipeline.images.deep_files import deep_png, deep_tiff, planar_tiff

SIDE = 16
FILES = {
    "PNG": deep_png,
    "TIFF": deep_tiff,
    "deflated TIFF": lambda numbers: deep_tiff(numbers, packed=True),
    "TIFF of planes": planar_tiff,
    "big-endian TIFF of planes": lambda numbers: planar_tiff(numbers, ">"),
}


def numbers(top, channels=3):
    """Numbers of 0 to a largest one, which the first colour has."""
    found = np.random.default_rng(0).integers(0, top + 1, (SIDE, SIDE, channels)).astype(np.uint16)
    found[0, 0, 0] = top
    return found


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize(
    ("top", "shift", "guess"),
    [(255, 0, "8 bits"), (256, 4, "12 bits"), (4095, 4, "12 bits"), (4096, 8, ""), (65535, 8, "")],
)
def test_colours_of_16_bits_mean_what_gray_ones_do(kind, top, shift, guess):
    colours = numbers(top)
    found = decode_image(FILES[kind](colours), SIDE)
    np.testing.assert_array_equal(found.pixels, colours >> shift)
    assert found.guess == (f"{guess} in numbers of 16 or 32" if guess else "")


@pytest.mark.parametrize("kind", list(FILES)[:3])
@pytest.mark.parametrize("opaque", [4095, 65535])
def test_an_alpha_of_12_or_of_16_bits_may_stand_beside_colours_of_12(kind, opaque):
    colours = numbers(4095, channels=4)
    colours[..., 3] = opaque
    found = decode_image(FILES[kind](colours), SIDE)
    np.testing.assert_array_equal(found.pixels, colours[..., :3] >> 4)


@pytest.mark.parametrize(("top", "shift"), [(255, 0), (4095, 4), (65535, 8)])
def test_gray_with_alpha_is_read_by_the_same_rule(top, shift):
    colours = numbers(top, channels=2)
    colours[..., 1] = top
    found = decode_image(deep_png(colours), SIDE)
    np.testing.assert_array_equal(found.pixels, np.repeat(colours[..., :1] >> shift, 3, axis=2))
    assert bool(found.guess) == (top < 65535)


def test_what_is_guessed_of_transparency_is_said_too():
    colours = np.zeros((SIDE, SIDE, 4), np.uint16)
    colours[4:12, 4:12] = 4095
    found = decode_image(deep_png(colours), SIDE)
    assert found.guess.startswith("12 bits in numbers of 16 or 32; laid on black")
    assert found.pixels[8, 8].tolist() == [255] * 3 and found.pixels[0, 0].tolist() == [0] * 3


def test_black_stays_black_without_a_guess():
    found = decode_image(deep_png(np.zeros((SIDE, SIDE, 3), np.uint16)), SIDE)
    assert found.pixels.max() == 0 and found.guess == ""


def test_the_whole_image_decides_however_it_is_looked_at(monkeypatch):
    monkeypatch.setattr(deep_colours, "BAND", 3 * SIDE)
    colours = numbers(4095)
    np.testing.assert_array_equal(decode_image(deep_png(colours), SIDE).pixels, colours >> 4)


def test_an_image_too_large_for_two_copies_stays_dark(monkeypatch):
    monkeypatch.setattr(deep_colours, "MAX_PIXELS", SIDE * SIDE - 1)
    colours = numbers(4095)
    found = decode_image(deep_png(colours), SIDE)
    np.testing.assert_array_equal(found.pixels, colours >> 8)
    assert found.guess == ""


def test_a_mask_or_truth_of_such_colours_is_refused():
    mask = np.zeros((SIDE, SIDE, 3), np.uint16)
    mask[4:12, 4:12] = 255
    for call in (decode_mask, lambda data: decode_truth(data, (SIDE, SIDE))):
        with pytest.raises(BadImage, match="8 bits in numbers of 16 or 32; save it as 8-bit gray"):
            call(deep_png(mask))
    assert decode_truth(deep_png(mask * 257), (SIDE, SIDE)).sum() == 64


@pytest.mark.parametrize("order", "<>")
def test_gray_in_a_plane_of_its_own_is_gray(order):
    gray = numbers(65535, channels=1)
    found = decode_image(planar_tiff(gray, order), SIDE).pixels
    np.testing.assert_array_equal(found, np.repeat(gray >> 8, 3, axis=2))


def test_planes_that_are_not_read_are_refused_and_not_misread():
    with pytest.raises(BadImage, match="in planes of their own, which is not read") as caught:
        decode_image(planar_tiff(numbers(65535, channels=4)), SIDE)
    assert caught.value.reason == "unsupported"


@pytest.mark.parametrize(("top", "shift"), [(4095, 8), (65535, 8)])
def test_deflated_planes_are_read_and_stay_dark_if_they_are(top, shift):
    colours = numbers(top)
    found = decode_image(planar_tiff(colours, packed=True), SIDE)
    np.testing.assert_array_equal(found.pixels, colours >> shift)
    assert found.guess == ""
