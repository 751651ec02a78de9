"""What wide numbers and transparency are taken for, against levels that are computed here."""

import numpy as np
import pytest
from PIL import Image

from pipeline.failures import BadImage
from pipeline.images import tones
from pipeline.images.photo import decode_image
from pipeline.images.tones import tones_of
from tests.hostile.containers import SHORT, gray_tiff
from tests.pipeline.encoded import encode, encode_array, palette_image


def ramp(top, dtype):
    """256 numbers from 0 to a largest one."""
    return np.linspace(0, top, 256).reshape(16, 16).astype(dtype)


@pytest.mark.parametrize(("dtype", "suffix"), [("<u2", "PNG"), ("<u2", "TIFF"), (">u2", "TIFF")])
@pytest.mark.parametrize(
    ("top", "divisor", "guess"), [(255, 1, "8 bits"), (4095, 16, "12 bits"), (65535, 256, "")]
)
def test_whole_numbers_are_of_8_12_or_16_bits(dtype, suffix, top, divisor, guess):
    numbers = ramp(top, dtype)
    photo = decode_image(encode_array(numbers, suffix), 16)
    expected = [[[int(number) // divisor] * 3 for number in row] for row in numbers]
    assert photo.pixels.tolist() == expected
    assert photo.guess.startswith(guess) and bool(photo.guess) == bool(guess)


@pytest.mark.parametrize("top", [30, 4095])
def test_a_tiff_that_says_12_bits_has_12_without_a_guess(top):
    numbers = ramp(top, np.uint16)
    pairs = numbers.reshape(-1, 2).astype(int)
    packed = b"".join((first << 12 | second).to_bytes(3, "big") for first, second in pairs.tolist())
    photo = decode_image(gray_tiff(16, 16, packed, BITS=(SHORT, 1, 12)), 16)
    np.testing.assert_array_equal(photo.pixels[..., 0], numbers // 16)
    assert photo.guess == ""


@pytest.mark.parametrize(("top", "divisor"), [(255, 1), (4095, 16), (65535, 256)])
def test_numbers_of_32_bits_mean_the_same_and_those_below_zero_are_black(top, divisor):
    numbers = ramp(top, np.int32)
    numbers[0, 0] = -7
    photo = decode_image(encode_array(numbers, "TIFF"), 16)
    expected = [[max(0, int(number)) // divisor for number in row] for row in numbers]
    assert photo.pixels[..., 1].tolist() == expected
    assert photo.guess


@pytest.mark.parametrize(
    ("top", "white", "guess"),
    [
        (1, 1, ""),
        (0.5, 1, ""),
        (3, 1, "above 1"),
        (255, 255, "0 to 255"),
        (200, 255, "0 to 255"),
        (65535, 65535, "0 to 65535"),
    ],
)
def test_floats_are_of_1_of_255_or_of_65535(top, white, guess):
    numbers = ramp(top, np.float32)
    photo = decode_image(encode_array(numbers, "TIFF"), 16)
    expected = np.minimum(numbers.astype(float) / white, 1) * 255
    assert np.abs(photo.pixels[..., 2] - expected).max() <= 0.51
    assert guess in photo.guess and bool(photo.guess) == bool(guess)


def test_the_range_of_floats_is_that_of_the_finite_ones():
    numbers = np.array([[np.nan, np.inf, -np.inf, 102]], np.float32)
    photo = decode_image(encode_array(numbers.repeat(4, axis=0), "TIFF"), 4)
    assert photo.pixels[0, :, 0].tolist() == [0, 255, 0, 102]


@pytest.mark.parametrize("numbers", [np.float32(65536), np.int32(65536), np.int32(1 << 20)])
def test_larger_numbers_are_refused_with_the_largest_one(numbers):
    data = encode_array(np.full((4, 4), numbers), "TIFF")
    with pytest.raises(BadImage, match="of up to (6|1.)[0-9.e+]+; (scale|convert)") as caught:
        decode_image(data, 4)
    assert caught.value.reason == "unsupported"


def test_the_whole_image_decides_however_it_is_looked_at(monkeypatch):
    numbers = np.full((40, 10), 200, np.uint16)
    numbers[39, 9] = 65535
    for band in (1, 10, 70, 1 << 20):
        monkeypatch.setattr(tones, "BAND", band)
        assert decode_image(encode_array(numbers), 4).pixels[0].max() == 0


def shape_on_transparency(mode, level):
    """A square of one level, opaque, on black that is transparent."""
    image = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
    image.paste((level, level, level, 255), (4, 4, 12, 12))
    if mode == "P":
        indices = (np.asarray(image)[..., 3] > 0).astype(np.uint8)
        return encode(palette_image(indices, (0, 0, 0), (level,) * 3), transparency=0)
    return encode(image.convert(mode), "WEBP" if mode == "webp" else "PNG")


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
@pytest.mark.parametrize(("level", "ground"), [(255, 0), (240, 0), (200, 255), (0, 255)])
def test_the_ground_of_what_is_transparent_shows_the_shape(mode, level, ground):
    photo = decode_image(shape_on_transparency(mode, level), 16)
    expected = np.full((16, 16), ground)
    expected[4:12, 4:12] = level
    np.testing.assert_array_equal(photo.pixels[..., 0], expected)
    assert photo.guess == ("" if ground else "laid on black, as the visible part is white")


@pytest.mark.parametrize("mode", ["PA", "RGBa"])
def test_rare_modes_with_alpha_are_laid_on_the_same_ground(mode):
    image = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
    image.paste((255, 255, 255, 255), (4, 4, 12, 12))
    rare = image.convert("RGB").convert("P").convert("PA") if mode == "PA" else image.convert(mode)
    if mode == "PA":
        rare.putalpha(image.getchannel("A"))
    assert rare.mode == mode
    expected = np.zeros((16, 16))
    expected[4:12, 4:12] = 255
    np.testing.assert_array_equal(np.asarray(tones_of(rare).to_rgb(rare))[..., 1], expected)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_an_alpha_that_is_0_everywhere_is_ignored_and_one_that_is_not_counts(mode):
    gray = np.random.default_rng(0).integers(0, 200, (16, 16), dtype=np.uint8)
    image = Image.fromarray(gray).convert(mode)
    image.putalpha(0)
    photo = decode_image(encode(image), 16)
    np.testing.assert_array_equal(photo.pixels[..., 0], gray)
    assert "alpha is 0" in photo.guess
    alpha = Image.new("L", (16, 16), 0)
    alpha.putpixel((5, 6), 255)
    image.putalpha(alpha)
    photo = decode_image(encode(image), 16)
    assert photo.pixels[6, 5, 0] == gray[6, 5] and (photo.pixels == 255).sum() >= 3 * 255
    assert photo.guess == ""
