"""What is no photo: other files, images cut short, damaged or too large."""

import numpy as np
import pytest
from PIL import Image

from pipeline.failures import BadImage
from pipeline.images.photo import decode_image
from pipeline.images.truth import decode_mask, decode_truth
from tests.pipeline.encoded import encode, encode_array, quadrants, reason

SUFFIXES = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM", "JPEG2000")


def test_no_bytes_and_other_files_are_told_apart():
    assert reason(decode_image, b"", 8) == "empty"
    for data in (b"just text", b"\x89P", b"\xff\xd8", b"\0" * 1000):
        assert reason(decode_image, data, 8) == "not_an_image"


def test_formats_that_are_not_listed_are_refused():
    for suffix in ("ICO", "EPS", "SGI", "TGA"):
        data = encode_array(quadrants(), suffix)
        assert reason(decode_image, data, 8) == "unsupported"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_truncated_image_is_broken_and_never_half_an_image(suffix):
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    data = encode_array(noise, suffix)
    for size in (len(data) // 4, len(data) // 2, len(data) * 3 // 4):
        assert reason(decode_image, data[:size], 8) in ("broken", "not_an_image")
        assert reason(decode_mask, data[:size]) in ("broken", "not_an_image")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_random_damage_gives_an_image_or_a_bad_image(suffix):
    rng = np.random.default_rng(3)
    data = encode_array(quadrants(32), suffix)
    for _ in range(60):
        damaged = bytearray(data)
        for position in rng.integers(0, len(data), 4):
            damaged[position] = rng.integers(0, 256)
        try:
            pixels, *_ = decode_image(bytes(damaged), 8)
        except BadImage:
            continue
        assert pixels.shape == (8, 8, 3)


def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded():
    most = 64 * 64
    data = encode_array(quadrants())
    assert decode_image(data, 8, most)[1] == (64, 64)
    assert reason(decode_image, encode(Image.new("L", (64, 65))), 8, most) == "too_large"
    assert reason(decode_mask, encode(Image.new("L", (1, 4097))), most) == "too_large"
    truth = encode(Image.new("L", (1, 4097)))
    assert reason(decode_truth, truth, (1, 4097), most) == "too_large"
    # It is cut in its pixels: whoever decoded it would call it broken.
    assert reason(decode_image, encode(Image.new("L", (5000, 5000)))[:200], 8, most) == "too_large"


@pytest.mark.parametrize("side", [1500, 3000])
def test_too_many_pixels_are_said_with_the_limit_and_the_flag_that_raises_it(side):
    # Above twice the limit, Pillow refuses the image itself.
    data = encode(Image.new("L", (side, side)))
    with pytest.raises(BadImage, match="more than 2 megapixels; --max_megapixels raises"):
        decode_image(data, 8, 2_000_000)
    assert decode_image(data, 8, 9_000_000)[1] == (side, side)
    # The limit of one call is not that of the next.
    assert decode_image(data, 8)[1] == (side, side)
