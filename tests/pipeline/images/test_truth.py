"""Decoding of masks and ground truth, against arrays that were encoded here."""

import numpy as np
import pytest
from PIL import Image

from pipeline.failures import BadImage
from pipeline.images.truth import decode_mask, decode_truth
from tests.pipeline.encoded import encode, encode_array, palette_image, reason


def test_masks_and_truths_are_never_decoded_at_reduced_scale():
    data = encode(Image.new("L", (2000, 1600), 255), "JPEG")
    assert decode_mask(data).shape == (1600, 2000)
    assert decode_truth(data, (2000, 1600)).shape == (1600, 2000)


@pytest.mark.parametrize("mode", ["L", "RGB", "LA", "RGBA"])
def test_a_gray_mask_comes_as_it_is(mode):
    levels = np.random.default_rng(2).integers(0, 256, (5, 9), dtype=np.uint8)
    mask = decode_mask(encode(Image.fromarray(levels).convert(mode)))
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, levels)


def binary(shape=(6, 5)):
    return np.random.default_rng(4).random(shape) < 0.4


BLACK, WHITE, MAROON = (0, 0, 0), (255, 255, 255), (128, 0, 0)


@pytest.mark.parametrize(
    "data",
    [
        encode_array(binary().astype(np.uint8) * 255),
        encode_array(binary().astype(np.uint8)),
        encode_array(binary()),
        encode_array(binary().astype(np.uint16) * 65535),
        encode_array(binary().astype(np.uint16)),
        encode_array(binary().astype(np.int32), "TIFF"),
        encode_array(binary().astype(np.float32), "TIFF"),
        encode(palette_image(binary(), BLACK, MAROON)),
        encode(palette_image(binary(), BLACK, WHITE)),
        encode(palette_image(~binary(), WHITE, BLACK)),
        encode(palette_image(~binary(), (254, 255, 253), (3, 0, 1))),
        encode(palette_image(2 * binary(), (4, 4, 4), (9, 9, 9), (250, 250, 251))),
        encode(palette_image(binary(), BLACK, WHITE), "GIF"),
        encode(palette_image(~binary(), WHITE, BLACK), "BMP"),
        encode_array(binary().astype(np.uint8), "TIFF"),
        encode_array(binary().astype(np.uint8)[..., None].repeat(3, 2)),
    ],
    ids=[
        "0 and 255",
        "labels",
        "one bit",
        "16 bits",
        "16-bit labels",
        "32-bit labels",
        "float",
        "palette labels",
        "palette",
        "palette turned round",
        "nearly black and white, turned round",
        "palette of grays",
        "gif",
        "bmp palette turned round",
        "tiff labels",
        "rgb labels",
    ],
)
def test_every_kind_of_binary_mask_means_the_same(data):
    np.testing.assert_array_equal(decode_truth(data, (5, 6)), binary())


def test_a_truth_that_is_all_foreground_or_all_background():
    for value, expected in ((0, False), (1, True), (255, True)):
        truth = decode_truth(encode_array(np.full((3, 4), value, np.uint8)), (4, 3))
        assert (truth == expected).all()
    ones = np.ones((3, 4), np.uint8)
    for indices, palette, expected in (
        (ones, (BLACK, MAROON), True),
        (ones * 0, (BLACK, MAROON), False),
        (ones * 0, (WHITE, BLACK), True),
        (ones * 0, (BLACK,), False),
        (ones * 0, ((1, 1, 1), WHITE), False),
        (ones * 0, ((3, 3, 3), WHITE), False),
        (ones, ((254, 255, 253), (3, 0, 1)), False),
    ):
        truth = decode_truth(encode(palette_image(indices, *palette)), (4, 3))
        assert (truth == expected).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
def test_a_prediction_of_zeros_and_ones_is_refused_by_name(dtype):
    """As probabilities they are an empty mask, as labels a full one."""
    labels = np.array([[0, 1, 0, 1]], dtype)
    data = encode_array(labels, "TIFF")
    assert reason(decode_mask, data) == "mask_values"
    empty = decode_mask(encode_array(labels * 0, "TIFF"))
    assert empty.tolist() == [[0, 0, 0, 0]]
    # As a picture of one bit it can only be meant in one way.
    assert decode_mask(encode_array(labels == 1)).tolist() == [[0, 255, 0, 255]]


@pytest.mark.parametrize(
    "levels",
    [
        np.array([[0, 200, 255]], np.uint16),
        np.array([[0, 200, 255]], np.int32),
        np.array([[0, 200, 255]], np.float32),
        np.array([[0, 1.5, 1]], np.float32),
    ],
    ids=["16 bits", "32 bits", "floats of 255", "floats above 1"],
)
def test_a_prediction_whose_numbers_could_mean_two_things_is_refused_by_name(levels):
    with pytest.raises(BadImage, match="as 8-bit gray") as caught:
        decode_mask(encode_array(levels, "TIFF"))
    assert caught.value.reason == "mask_values"


def test_a_prediction_of_floats_is_a_probability():
    levels = np.array([[0, 0.25, 0.5, 1]], np.float32)
    assert decode_mask(encode_array(levels, "TIFF")).tolist() == [[0, 64, 128, 255]]


@pytest.mark.parametrize("classes", [[1], [15], [1, 2, 20]])
def test_a_truth_of_small_numbers_beside_255_is_refused(classes):
    """As those of PASCAL VOC in gray, where 255 is a border to ignore."""
    labels = np.array([[0, *classes, 255]], np.uint8)
    with pytest.raises(BadImage, match="255, which then usually means to ignore") as caught:
        decode_truth(encode_array(labels), (labels.shape[1], 1))
    assert caught.value.reason == "truth_values"


def test_a_soft_truth_is_no_map_of_classes():
    levels = np.array([[0, 1, 2, 127, 250, 255]], np.uint8)
    truth = decode_truth(encode_array(levels), (6, 1))
    assert truth.tolist() == [[False, False, False, False, True, True]]


def test_a_mask_in_lab_is_its_lightness():
    mask = decode_mask(encode(Image.new("LAB", (4, 2), (255, 128, 128)), "TIFF"))
    assert mask.tolist() == [[255] * 4] * 2


def test_a_16_bit_mask_keeps_its_upper_half():
    levels = np.array([[0, 0x80FF, 0x8100, 0xFFFF]], np.uint16)
    assert decode_mask(encode_array(levels)).tolist() == [[0, 0x80, 0x81, 255]]
    assert decode_truth(encode_array(levels), (4, 1)).tolist() == [[False, False, True, True]]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_truth_of_other_numbers_is_refused(dtype):
    """A map of classes, or one that is black to the eye, would score as empty."""
    classes = np.array([[0, 3, 15, 20]], dtype) * (100 if dtype == np.uint16 else 1)
    with pytest.raises(BadImage, match="at most; foreground is over 128") as caught:
        decode_truth(encode_array(classes), (4, 1))
    assert caught.value.reason == "truth_values"


def test_a_map_of_classes_is_refused_though_its_void_is_nearly_white():
    """As those of PASCAL VOC: its outlines of (224, 224, 192) would pass as the foreground."""
    classes = palette_image(np.array([[0, 2, 3, 2, 0]]), BLACK, MAROON, (64, 0, 0), (224, 224, 192))
    with pytest.raises(BadImage, match="map of classes") as caught:
        decode_truth(encode(classes), (5, 1))
    assert caught.value.reason == "truth_values"


@pytest.mark.parametrize("dtype", [np.uint16, np.int32])
def test_a_truth_of_more_bits_whose_white_is_that_of_8_is_refused(dtype):
    white = np.array([[0, 255, 255, 0]], dtype)
    with pytest.raises(BadImage, match="in 8 bits, the truth is 0 at most") as caught:
        decode_truth(encode_array(white, "TIFF"), (4, 1))
    assert caught.value.reason == "truth_values"


def test_truth_is_true_above_128():
    levels = np.array([[0, 2, 127, 128, 129, 255]], np.uint8)
    truth = decode_truth(encode_array(levels), (6, 1))
    assert truth.dtype == bool
    assert truth.tolist() == [[False, False, False, False, True, True]]


def test_truth_of_another_size_is_refused_with_both_sizes():
    with pytest.raises(BadImage, match="6 x 3 pixels, the image 3 x 6") as caught:
        decode_truth(encode(Image.new("L", (6, 3))), (3, 6))
    assert caught.value.reason == "truth_size"
