"""Cutouts: alpha, size, profile and orientation, and colours of edges on known mixtures."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageFilter, ImageOps

from pipeline.failures import BadImage
from pipeline.images import cutout
from pipeline.images.cutout import cut_out, free_edges
from pipeline.images.photo import decode_image
from tests.pipeline.encoded import encode, encode_array
from tests.pipeline.images.profiles import WIDE, gray_profile, rgb_profile


def cut(data, mask, suffix="png"):
    return Image.open(io.BytesIO(cut_out(data, mask, suffix)))


def disc(height=240, width=320, blur=4):
    """A disc with a soft edge, uint8 (H, W)."""
    rows, columns = np.mgrid[:height, :width]
    inside = (rows - height / 2) ** 2 + (columns - width / 2) ** 2 < (height / 4) ** 2
    soft = Image.fromarray(255 * inside.astype(np.uint8)).filter(ImageFilter.GaussianBlur(blur))
    return np.asarray(soft)


def mixed(foreground, background, alpha):
    share = alpha[..., None] / 255
    return np.rint(share * foreground + (1 - share) * background).astype(np.uint8)


@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_alpha_is_the_mask_and_opaque_colours_are_the_photo(suffix):
    mask = disc()
    photo = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    found = cut(encode_array(photo), mask, suffix)
    assert (found.format, found.mode, found.size) == (suffix.upper(), "RGBA", (320, 240))
    pixels = np.asarray(found)
    np.testing.assert_array_equal(pixels[..., 3], mask)
    if suffix == "png":
        np.testing.assert_array_equal(pixels[mask == 255][:, :3], photo[mask == 255])
        assert pixels[mask == 0].max() == 0


@pytest.mark.parametrize("height", [240, 1700])
def test_soft_edges_get_the_colour_of_the_object(height):
    mask = disc(height, height, blur=height / 60)
    red, green = np.array([200, 40, 30]), np.array([20, 180, 60])
    rgba = np.dstack([mixed(red, green, mask), mask])
    free_edges(rgba)
    seen = mask >= 8
    before = np.abs(mixed(red, green, mask)[seen].astype(int) - red).mean()
    after = np.abs(rgba[seen][:, :3].astype(int) - red)
    assert after.mean() < before / 8 and np.percentile(after, 99) < 25


def test_gradients_on_both_sides_are_followed():
    mask = disc(400, 400, blur=6)
    ramp = np.linspace(0, 255, 400)[None, :, None]
    foreground = np.broadcast_to(np.concatenate([ramp, 255 - ramp, ramp / 2], 2), (400, 400, 3))
    background = np.broadcast_to(np.array([10, 10, 200]), (400, 400, 3))
    photo = mixed(foreground, background, mask)
    rgba = np.dstack([photo, mask])
    free_edges(rgba)
    soft = (mask >= 8) & (mask < 255)
    before = np.abs(photo[soft] - foreground[soft]).mean()
    assert np.abs(rgba[soft][:, :3] - foreground[soft]).mean() < before / 4


def test_bands_do_not_show(monkeypatch):
    mask = disc()
    photo = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    whole, banded = np.dstack([photo, mask]), np.dstack([photo, mask])
    free_edges(whole)
    monkeypatch.setattr(cutout, "BAND", 7 * 320)
    free_edges(banded)
    assert np.abs(whole.astype(int) - banded).max() <= 2


@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_a_profile_of_rgb_is_kept_with_the_numbers(suffix):
    photo = np.full((30, 40, 3), (200, 50, 60), np.uint8)
    profile = rgb_profile(WIDE, 2.2)
    data = encode_array(photo, icc_profile=profile)
    found = cut(data, np.full((30, 40), 255, np.uint8), suffix)
    assert found.info["icc_profile"] == profile
    assert np.abs(np.asarray(found)[..., :3].astype(int) - photo).max() <= (suffix == "webp") * 3


def test_without_a_profile_there_is_none():
    found = cut(encode(Image.new("RGB", (4, 3))), np.full((3, 4), 255, np.uint8))
    assert "icc_profile" not in found.info


def test_a_broken_profile_is_left_out():
    broken = b"\0" * 16 + b"RGB " + b"\0" * 200
    found = cut(
        encode(Image.new("RGB", (4, 3)), icc_profile=broken), np.full((3, 4), 255, np.uint8)
    )
    assert "icc_profile" not in found.info


def modes():
    gray = Image.linear_gradient("L").resize((60, 40))
    colours = Image.merge("RGB", (gray, gray.transpose(Image.Transpose.ROTATE_180), gray))
    wide = Image.fromarray(np.asarray(gray, np.uint16) * 257)
    yield "gray", encode(gray)
    yield "palette", encode(colours.quantize(16))
    yield "one bit", encode(gray.convert("1"))
    yield "CMYK", encode(colours.convert("CMYK"), "JPEG")
    yield "16 bits", encode(wide)
    yield "float", encode(Image.fromarray(np.asarray(gray, np.float32) / 255), "TIFF")
    yield "a profile of gray", encode(gray, icc_profile=gray_profile(1.0))
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    yield "a profile of other colours", encode(colours, icc_profile=lab)


@pytest.mark.parametrize(("name", "data"), list(modes()), ids=[name for name, _ in modes()])
def test_colours_are_those_that_the_network_sees(name, data):
    found = np.asarray(cut(data, np.full((40, 60), 255, np.uint8)))
    image = Image.fromarray(found[..., :3]).resize((20, 20), Image.Resampling.BILINEAR)
    seen = decode_image(data, 20).pixels
    assert np.abs(np.asarray(image, int) - seen).max() <= 3, name


def test_what_is_transparent_in_the_photo_stays_so():
    alpha = disc()
    red, green = np.array([200, 40, 30]), np.array([20, 180, 60])
    photo = np.dstack([mixed(red, green, alpha), alpha])
    mask = np.full_like(alpha, 255)
    mask[:, :160] = 0
    found = np.asarray(cut(encode_array(photo), mask))
    np.testing.assert_array_equal(found[:, 160:, 3], alpha[:, 160:])
    assert found[:, :160].max() == 0


def test_an_alpha_that_is_0_everywhere_is_ignored():
    photo = np.full((30, 40, 4), (200, 50, 60, 0), np.uint8)
    found = np.asarray(cut(encode_array(photo), np.full((30, 40), 255, np.uint8)))
    assert (found == (200, 50, 60, 255)).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_cutouts_are_upright(orientation):
    exif = Image.Exif()
    exif[274] = orientation
    stored = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    image = Image.fromarray(stored)
    data = encode(image, exif=exif)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    mask = np.full(upright.size[::-1], 255, np.uint8)
    np.testing.assert_array_equal(np.asarray(cut(data, mask))[..., :3], upright)


def test_webp_says_when_it_cannot_hold_a_photo():
    data = encode(Image.new("L", (16384, 2)))
    with pytest.raises(BadImage, match="16383 pixels a side.*--cutouts png"):
        cut_out(data, np.zeros((2, 16384), np.uint8), "webp")
