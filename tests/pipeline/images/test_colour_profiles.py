"""Colours by the embedded profile, against the full-size image converted by ImageCms."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from pipeline.images.photo import decode_image
from tests.hostile.photos import encode, photo
from tests.pipeline.images.profiles import SRGB, WIDE, cmyk_profile, rgb_profile

SIDE = 32
ADOBE = rgb_profile(WIDE, 2.2)
INKS = cmyk_profile(
    (255 - 9 * place, 128 + 5 * (place % 4), 128 - 6 * (place % 3))[channel]
    for place in range(16)
    for channel in range(3)
)


def converted(image, profile):
    """The whole image to sRGB, then to the network's size."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), image.mode, "RGB")
    full = ImageCms.applyTransform(image, transform)
    return np.asarray(full.resize((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=3), int)


@pytest.mark.parametrize("suffix", ["PNG", "TIFF", "WEBP", "JPEG"])
@pytest.mark.parametrize("width", [48, 1000])
def test_a_wide_gamut_photo_has_the_colours_that_its_profile_says(suffix, width):
    options = {"PNG": {}, "TIFF": {}, "WEBP": {"lossless": True}, "JPEG": {"quality": 98}}[suffix]
    image = photo(width, width * 3 // 4)
    found = decode_image(encode(image, suffix, icc_profile=ADOBE, **options), SIDE).pixels
    stored = Image.open(io.BytesIO(encode(image, suffix, **options)))
    expected = converted(stored, ADOBE)
    # A large JPEG is decoded at reduced scale.
    assert np.abs(found - expected).mean() < 1.3
    unconverted = decode_image(encode(image, suffix, **options), SIDE).pixels
    assert np.abs(unconverted - expected).mean() > 5


@pytest.mark.parametrize("suffix", ["TIFF", "JPEG"])
def test_a_cmyk_photo_has_the_colours_that_its_profile_says(suffix):
    image = photo().convert("CMYK")
    options = {"quality": 98} if suffix == "JPEG" else {}
    found = decode_image(encode(image, suffix, icc_profile=INKS, **options), SIDE).pixels
    stored = Image.open(io.BytesIO(encode(image, suffix, **options)))
    expected = converted(stored, INKS)
    assert np.abs(found - expected).mean() < 1
    unconverted = decode_image(encode(image, suffix, **options), SIDE).pixels
    assert np.abs(unconverted - expected).mean() > 5


def test_a_turned_photo_is_converted_and_turned():
    exif = Image.Exif()
    exif[0x0112] = 3
    found = decode_image(encode(photo(), "PNG", icc_profile=ADOBE, exif=exif), SIDE).pixels
    np.testing.assert_array_equal(
        found, decode_image(encode(photo().rotate(180), "PNG", icc_profile=ADOBE), SIDE).pixels
    )


def test_a_profile_of_megabytes_is_used_like_a_small_one():
    padding = np.random.default_rng(0).bytes(2_500_000)
    large = encode(photo(), "PNG", icc_profile=rgb_profile(WIDE, 2.2, padding=padding))
    small = encode(photo(), "PNG", icc_profile=ADOBE)
    np.testing.assert_array_equal(
        decode_image(large, SIDE).pixels, decode_image(small, SIDE).pixels
    )


def test_what_a_profile_does_counts_and_not_what_it_is_called():
    linear = rgb_profile(SRGB, 1, name="sRGB, but linear")
    found = decode_image(encode(photo(), "PNG", icc_profile=linear), SIDE).pixels
    assert np.abs(found - converted(photo(), linear)).mean() < 4
    assert np.abs(found - np.asarray(photo().resize((SIDE, SIDE)), int)).mean() > 20


def own_profile(space):
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(space)).tobytes()


@pytest.mark.parametrize("suffix", ["PNG", "JPEG"])
@pytest.mark.parametrize(
    "profile",
    [
        own_profile("sRGB"),
        b"no profile",
        ADOBE[:200],
        ADOBE[:128] + b"\xff" * 400,
        INKS,
        own_profile("LAB"),
    ],
    ids=["sRGB", "garbage", "cut short", "broken tags", "of inks", "LAB"],
)
def test_an_srgb_profile_and_those_that_cannot_be_used_change_no_byte(suffix, profile):
    plain = decode_image(encode(photo(), suffix), SIDE)
    found = decode_image(encode(photo(), suffix, icc_profile=profile), SIDE)
    np.testing.assert_array_equal(found.pixels, plain.pixels)
    assert found.guess == ""
