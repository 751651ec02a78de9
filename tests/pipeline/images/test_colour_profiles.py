"""Colours by the embedded profile, against the full-size image converted by ImageCms."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from pipeline.images.photo import decode_image
from tests.hostile.photos import encode, photo
from tests.pipeline.images.profiles import SRGB, WIDE, cmyk_profile, gray_profile, rgb_profile

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


def as_transparent(opaque):
    """The photo with a hole at its left."""
    image = opaque.convert("LA" if opaque.mode == "L" else "RGBA")
    alpha = Image.new("L", image.size, 255)
    alpha.paste(0, (0, 0, 10, 20))
    image.putalpha(alpha)
    return image


GRAY_FILES = {
    "L": lambda gray: gray,
    "LA": as_transparent,
    "I;16": lambda gray: Image.fromarray(np.asarray(gray).astype(np.uint16) * 257),
}


@pytest.mark.parametrize("mode", GRAY_FILES)
@pytest.mark.parametrize("suffix", ["PNG", "TIFF"])
def test_a_gray_photo_has_the_levels_that_its_profile_says(suffix, mode):
    gray, profile = photo().convert("L"), gray_profile(1.0)
    image = GRAY_FILES[mode](gray)
    if mode == "LA":
        gray.paste(255, (0, 0, 10, 20))
    found = decode_image(encode(image, suffix, icc_profile=profile), SIDE).pixels
    expected = converted(gray, profile)
    assert np.abs(found - expected).mean() < 4
    assert np.abs(decode_image(encode(image, suffix), SIDE).pixels - expected).mean() > 20


def test_a_gray_jpeg_has_the_levels_that_its_profile_says():
    gray, profile = photo(1000, 700).convert("L"), gray_profile(1.8)
    found = decode_image(encode(gray, "JPEG", quality=98, icc_profile=profile), SIDE).pixels
    assert np.abs(found - converted(gray, profile)).mean() < 1.5


@pytest.mark.parametrize("suffix", ["PNG", "TIFF", "WEBP"])
def test_a_transparent_photo_has_the_colours_that_its_profile_says(suffix):
    image = as_transparent(photo())
    options = {"lossless": True} if suffix == "WEBP" else {}
    found = decode_image(encode(image, suffix, icc_profile=ADOBE, **options), SIDE).pixels
    behind = photo()
    behind.paste("white", (0, 0, 10, 20))
    expected = converted(behind, ADOBE)
    assert np.abs(found - expected).mean() < 1.3
    plain = decode_image(encode(image, suffix, **options), SIDE).pixels
    assert np.abs(plain - expected).mean() > 5


def test_a_photo_with_a_palette_has_the_colours_that_its_profile_says():
    image = photo().quantize(64)
    found = decode_image(encode(image, "PNG", icc_profile=ADOBE), SIDE).pixels
    assert np.abs(found - converted(image.convert("RGB"), ADOBE)).mean() < 1.3


def test_a_profile_of_gray_changes_no_colours_and_one_of_colours_no_gray():
    for image, profile in (
        (photo().convert("RGBA"), gray_profile(1.0)),
        (photo().convert("L"), ADOBE),
    ):
        found = decode_image(encode(image, "PNG", icc_profile=profile), SIDE).pixels
        np.testing.assert_array_equal(found, decode_image(encode(image, "PNG"), SIDE).pixels)


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
        gray_profile(1.0),
    ],
    ids=["sRGB", "garbage", "cut short", "broken tags", "of inks", "LAB", "of gray"],
)
def test_an_srgb_profile_and_those_that_cannot_be_used_change_no_byte(suffix, profile):
    plain = decode_image(encode(photo(), suffix), SIDE)
    found = decode_image(encode(photo(), suffix, icc_profile=profile), SIDE)
    np.testing.assert_array_equal(found.pixels, plain.pixels)
    assert found.guess == ""
