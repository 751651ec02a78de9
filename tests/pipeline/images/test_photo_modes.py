"""Photos in every mode that images are stored in: transparent, gray, 16 bits, frames."""

import io

import numpy as np
import pytest
from PIL import Image

from pipeline.images.photo import decode_image
from tests.pipeline.encoded import encode, encode_array, palette_image


def half_transparent(mode):
    image = Image.new("RGBA", (8, 8), (0, 0, 0, 255))
    image.paste((0, 0, 0, 0), (4, 0, 8, 8))
    return image.convert(mode)


def with_transparent_colour(image, colour):
    image.paste(colour, (4, 0, 8, 8))
    return encode(image, transparency=colour)


@pytest.mark.parametrize(
    "data",
    [
        encode(half_transparent("RGBA")),
        encode(half_transparent("RGBA"), "WEBP", lossless=True),
        encode(half_transparent("RGBA"), "TIFF"),
        encode(half_transparent("LA")),
        encode(half_transparent("RGBA"), "GIF"),
        with_transparent_colour(palette_image(np.zeros((8, 8)), (0, 0, 0), (9, 9, 9)), 1),
        with_transparent_colour(Image.new("L", (8, 8), 0), 7),
        with_transparent_colour(Image.new("RGB", (8, 8), 0), (0, 0, 9)),
        with_transparent_colour(Image.new("1", (8, 8), 0), 1),
        encode_array(np.array([[0] * 4 + [0x4D12] * 4] * 8, np.uint16), transparency=0x4D12),
    ],
    ids=["RGBA", "webp", "tiff", "LA", "gif", "P", "L", "RGB", "1", "I;16"],
)
def test_transparency_shows_white(data):
    pixels, *_ = decode_image(data, 8)
    assert (pixels[:, :4] == 0).all()
    assert (pixels[:, 4:] == 255).all()


def test_16_bits_beside_a_transparent_colour_keep_their_level():
    pixels, *_ = decode_image(
        encode_array(np.array([[0x4D12, 0x4D13]] * 2, np.uint16), transparency=0x4D13), 2
    )
    assert pixels[0, :, 0].tolist() == [0x4D, 255]


def test_half_transparent_black_on_white_is_gray():
    pixels, *_ = decode_image(encode(Image.new("RGBA", (4, 4), (0, 0, 0, 128))), 4)
    assert np.abs(pixels.astype(int) - 127).max() <= 1


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (encode(Image.new("L", (4, 4), 77)), 77),
        (encode(Image.new("1", (4, 4), 1)), 255),
        (encode(Image.new("CMYK", (8, 8), (0, 0, 0, 0)), "JPEG"), 255),
        (encode(Image.new("CMYK", (8, 8), (0, 0, 0, 255)), "JPEG"), 0),
        (encode(Image.new("CMYK", (8, 8), (0, 0, 0, 0)), "TIFF"), 255),
        (encode(Image.new("LAB", (4, 4), (255, 128, 128)), "TIFF"), 255),
        (encode_array(np.full((4, 4), 0x4D12, np.uint16)), 0x4D),
        (encode_array(np.full((4, 4), 0xFFFF, np.uint16)), 255),
        (encode_array(np.full((4, 4), 0x4D12, np.uint16), "TIFF"), 0x4D),
        (encode_array(np.full((4, 4), 0x4D12, ">u2"), "TIFF"), 0x4D),
        (encode_array(np.full((4, 4), 0x4D12, np.int32), "TIFF"), 0x4D),
        (encode_array(np.full((4, 4), -5, np.int32), "TIFF"), 0),
        (encode_array(np.full((4, 4), 0.5, np.float32), "TIFF"), 128),
        (encode_array(np.full((4, 4), 7.0, np.float32), "TIFF"), 255),
        (encode_array(np.full((4, 4), np.nan, np.float32), "TIFF"), 0),
        (encode_array(np.full((4, 4), np.inf, np.float32), "TIFF"), 255),
        (encode_array(np.full((4, 4), -np.inf, np.float32), "TIFF"), 0),
    ],
    ids=range(17),
)
def test_every_mode_becomes_rgb_of_its_own_level(data, expected):
    pixels, *_ = decode_image(data, 4)
    assert pixels.shape == (4, 4, 3)
    assert np.abs(pixels.astype(int) - expected).max() <= 1


def test_16_bits_are_not_stretched_to_their_own_range():
    pixels, *_ = decode_image(encode_array(np.array([[0, 0x1000]], np.uint16)), 8)
    assert pixels.max() == 0x10


@pytest.mark.parametrize("suffix", ["GIF", "WEBP", "TIFF"])
def test_the_first_frame_counts(suffix):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "lime")]
    options = {"lossless": True} if suffix == "WEBP" else {}
    data = encode(frames[0], suffix, save_all=True, append_images=frames[1:], **options)
    assert Image.open(io.BytesIO(data)).n_frames == 3
    assert (decode_image(data, 4)[0] == (255, 0, 0)).all()
