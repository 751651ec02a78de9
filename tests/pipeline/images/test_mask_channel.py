"""What of a mask with colours or transparency is the mask: understood, or refused by name."""

import io

import numpy as np
import pytest
from PIL import Image

from pipeline.images.truth import decode_mask, decode_truth
from tests.hostile.photos import photo
from tests.pipeline.encoded import encode, encode_array, palette_image, reason

SIZE = (48, 40)


def shape():
    """An ellipse, bool (40, 48)."""
    y, x = np.mgrid[:40, :48]
    return ((x - 20) / 15) ** 2 + ((y - 22) / 11) ** 2 < 1


def with_alpha(image, alpha):
    image = image.copy()
    image.putalpha(Image.fromarray(alpha))
    return image


ALPHA = shape().astype(np.uint8) * 255
SOFT = np.linspace(0, 255, 40 * 48).reshape(40, 48).astype(np.uint8)
WHITE, BLACK = Image.new("RGB", SIZE, "white"), Image.new("RGB", SIZE, "black")
MASK = Image.fromarray(ALPHA).convert("RGB")


@pytest.mark.parametrize("alpha", [ALPHA, SOFT], ids=["hard", "soft"])
@pytest.mark.parametrize(
    ("colours", "suffix"),
    [
        (WHITE, "PNG"),
        (BLACK, "PNG"),
        (photo(), "PNG"),
        (photo(), "TIFF"),
        (WHITE.convert("L"), "PNG"),
        (BLACK.convert("L"), "PNG"),
        (photo().convert("L"), "PNG"),
    ],
    ids=["white", "black", "photo", "photo in TIFF", "LA white", "LA black", "LA photo"],
)
def test_transparency_that_varies_is_the_mask(colours, suffix, alpha):
    data = encode(with_alpha(colours, alpha), suffix)
    np.testing.assert_array_equal(decode_mask(data), alpha)
    np.testing.assert_array_equal(decode_truth(data, SIZE), alpha > 128)


def test_a_cutout_with_nothing_behind_it_is_its_transparency():
    """As background removers write it: the hidden pixels are black."""
    pixels = np.asarray(photo()) * shape()[..., None]
    data = encode(with_alpha(Image.fromarray(pixels), ALPHA))
    np.testing.assert_array_equal(decode_mask(data), ALPHA)
    np.testing.assert_array_equal(decode_truth(data, SIZE), shape())


def test_a_transparent_palette_of_black_and_white_is_its_transparency():
    both = palette_image(shape(), (255, 255, 255), (0, 0, 0))
    data = encode(both, transparency=0)
    np.testing.assert_array_equal(decode_mask(data), ALPHA)
    np.testing.assert_array_equal(decode_truth(data, SIZE), shape())


@pytest.mark.parametrize("alpha", [255, 0, 128, "nearly opaque"])
def test_transparency_that_says_nothing_leaves_the_gray_levels(alpha):
    constant = np.full((40, 48), 255 if alpha == "nearly opaque" else alpha, np.uint8)
    if alpha == "nearly opaque":
        constant[3:9, 7:30] = 250
    data = encode(with_alpha(MASK, constant))
    np.testing.assert_array_equal(decode_mask(data), ALPHA)
    np.testing.assert_array_equal(decode_truth(data, SIZE), shape())


def test_colours_and_transparency_that_say_the_same_are_understood():
    data = encode(with_alpha(MASK, ALPHA))
    np.testing.assert_array_equal(decode_mask(data), ALPHA)
    np.testing.assert_array_equal(decode_truth(data, SIZE), shape())


def test_colours_and_transparency_that_are_two_masks_are_refused():
    data = encode(with_alpha(MASK, np.ascontiguousarray(ALPHA[:, ::-1])))
    assert reason(decode_mask, data) == "mask_values"
    assert reason(decode_truth, data, SIZE) == "truth_values"


def class_map(mode, colour):
    pixels = np.zeros((40, 48, 3), np.uint8)
    pixels[shape()] = colour
    pixels[:5] = 255, 255, 255
    image = Image.fromarray(pixels)
    return image.quantize(8) if mode == "P" else image.convert(mode)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "CMYK"])
@pytest.mark.parametrize("colour", [(128, 0, 0), (64, 0, 0), (0, 192, 64), (255, 255, 0)])
def test_colours_of_classes_are_refused(mode, colour):
    data = encode(class_map(mode, colour), "TIFF" if mode == "CMYK" else "PNG")
    assert reason(decode_mask, data) == "mask_values"
    assert reason(decode_truth, data, SIZE) == "truth_values"


def test_a_photo_is_no_mask():
    for data in (encode(photo()), encode(photo(), "JPEG")):
        assert reason(decode_mask, data) == "mask_values"
        assert reason(decode_truth, data, SIZE) == "truth_values"


@pytest.mark.parametrize("quality", [30, 75, 95])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_gray_mask_that_went_through_jpeg_is_understood(mode, quality):
    image = Image.fromarray(SOFT).convert(mode)
    data = encode(image, "JPEG", quality=quality)
    stored = np.asarray(Image.open(io.BytesIO(data)).convert("L"))
    np.testing.assert_array_equal(decode_mask(data), stored)
    np.testing.assert_array_equal(decode_truth(data, SIZE), stored > 128)


def test_a_tint_of_gray_is_no_colour():
    tinted = np.stack([SOFT, SOFT, np.minimum(SOFT, 215)], -1)
    assert decode_mask(encode_array(tinted)).shape == (40, 48)
