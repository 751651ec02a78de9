"""Photos to pixels, against images built here and transformed with NumPy."""

import io

import numpy as np
import pytest
from PIL import Image

from pipeline.images import photo
from pipeline.images.photo import decode_image
from pipeline.images.truth import decode_mask
from tests.pipeline.encoded import encode, encode_array, quadrants

SUFFIXES = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_gives_the_colours_that_were_put_in(suffix):
    options = {"quality": 95} if suffix in ("JPEG", "WEBP") else {}
    pixels, size, guess = decode_image(encode_array(quadrants(), suffix, **options), 64)
    assert pixels.dtype == np.uint8 and size == (64, 64) and guess == ""
    # Away from the edges, where lossy formats blur the colours.
    inner = np.r_[4:28, 36:60]
    difference = pixels.astype(int)[np.ix_(inner, inner)] - quadrants()[np.ix_(inner, inner)]
    assert np.abs(difference).max() <= (0 if suffix in ("PNG", "BMP", "TIFF", "GIF") else 8)


def test_what_already_has_the_networks_size_is_not_changed():
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    np.testing.assert_array_equal(decode_image(encode_array(pixels), 32)[0], pixels)


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_making_it_smaller_keeps_every_region_at_its_mean(factor):
    blocks = np.random.default_rng(1).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    large = blocks.repeat(8 * factor, axis=0).repeat(8 * factor, axis=1)
    small, size, _ = decode_image(encode_array(large), 32)
    assert size == (32 * factor, 32 * factor)
    centres = small[4::8, 4::8].astype(int)
    assert np.abs(centres - blocks).max() <= 1


def test_reducing_first_costs_nothing_visible():
    rng = np.random.default_rng(6)
    rough = Image.fromarray(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8))
    large = rough.resize((1100, 730), Image.Resampling.BICUBIC)
    exact = np.asarray(large.resize((64, 64), Image.Resampling.BILINEAR)).astype(int)
    difference = np.abs(decode_image(encode(large), 64)[0] - exact)
    assert difference.mean() < 0.5 and difference.max() <= 6


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "L", "P", "CMYK", "1"])
def test_an_image_in_many_blocks_equals_one_in_a_piece(monkeypatch, mode):
    rng = np.random.default_rng(8)
    noise = Image.fromarray(rng.integers(0, 256, (333, 471, 4), dtype=np.uint8))
    image = noise.convert(mode) if mode in ("RGBA", "LA") else noise.convert("RGB").convert(mode)
    data = encode(image, "TIFF" if mode == "CMYK" else "PNG")
    if mode in ("RGBA", "LA"):
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    expected = image.convert("RGB").resize((32, 32), Image.Resampling.BILINEAR, reducing_gap=3)
    for block in (4096, 50):
        monkeypatch.setattr(photo, "BLOCK", block)
        pixels, size, _ = decode_image(data, 32)
        assert size == (471, 333)
        np.testing.assert_array_equal(pixels, expected)


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "LA", "RGBA", "P"])
def test_a_mask_in_many_blocks_equals_one_in_a_piece(monkeypatch, mode):
    gray = np.random.default_rng(8).integers(0, 256, (133, 171), dtype=np.uint8)
    image = Image.fromarray(gray).convert(mode)
    for block in (4096, 50):
        monkeypatch.setattr(photo, "BLOCK", block)
        np.testing.assert_array_equal(decode_mask(encode(image)), image.convert("L"))


def large_photo(width, height):
    """Smooth areas, edges and noise, with the frequencies of a sharp photo."""
    rng = np.random.default_rng(9)
    rough = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
    smooth = np.asarray(rough.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    y, x = np.mgrid[:height, :width]
    edges = 60 * ((x // 37 + y // 53) % 5 == 0) + rng.integers(-25, 26, (height, width))
    return Image.fromarray((smooth + edges[..., None]).clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize(
    ("image", "most_on_average", "most"),
    [
        (large_photo(1152, 864), 0.6, 7),
        (large_photo(3000, 2000), 0.6, 7),
        (
            Image.fromarray(
                np.random.default_rng(5).integers(0, 256, (1000, 1500, 3), dtype=np.uint8)
            ),
            1.3,
            9,
        ),
    ],
    ids=["1 megapixel", "6 megapixels", "noise"],
)
def test_a_large_jpeg_at_reduced_scale_is_close_to_one_decoded_in_full(
    image, most_on_average, most
):
    data = encode(image, "JPEG", quality=92)
    pixels, size, _ = decode_image(data, 192)
    # BMP holds the same pixels, and is never decoded at reduced scale.
    exact, *_ = decode_image(encode(Image.open(io.BytesIO(data)), "BMP"), 192)
    assert size == image.size
    difference = np.abs(pixels.astype(int) - exact)
    # It was decoded at reduced scale, or they would be equal.
    assert difference.max() > 0
    assert difference.mean() <= most_on_average and difference.max() <= most


def test_a_large_jpeg_on_its_side_keeps_its_full_upright_size():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode(large_photo(1500, 700), "JPEG", exif=exif)
    pixels, size, _ = decode_image(data, 32)
    assert size == (700, 1500)
    gray = encode(large_photo(1500, 700).convert("L"), "JPEG", exif=exif)
    assert decode_mask(gray).shape == (1500, 700)
    upright = large_photo(1500, 700).transpose(Image.Transpose.ROTATE_270)
    small = np.asarray(upright.resize((32, 32), Image.Resampling.BILINEAR))
    assert np.abs(pixels.astype(int) - small).mean() < 6


@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (2000, 1), (3, 7), (31, 33)])
def test_any_shape_becomes_the_square_and_its_size_is_width_then_height(size):
    image = Image.new("RGB", size, (10, 200, 30))
    pixels, found, _ = decode_image(encode(image), 32)
    assert found == size
    assert pixels.shape == (32, 32, 3)
    assert (pixels == (10, 200, 30)).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientation_is_applied(orientation, suffix):
    # What a viewer has to do, by the EXIF specification, in NumPy.
    upright_from_stored = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: np.rot90(a, 1),
    }
    stored = np.zeros((32, 64, 3), np.uint8)
    stored[:16, :32] = 250
    stored[16:, :32] = 120
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode_array(stored, suffix, exif=exif)
    expected = upright_from_stored[orientation](stored)
    pixels, size, _ = decode_image(data, 64)
    assert size == (expected.shape[1], expected.shape[0])
    enlarged = np.asarray(Image.fromarray(np.ascontiguousarray(expected)).resize((64, 64), 0))
    centres = np.ix_([16, 48], [16, 48])
    assert np.abs(pixels[centres].astype(int) - enlarged[centres]).max() <= 6
    mask = decode_mask(data)
    assert mask.shape == expected.shape[:2]


def test_broken_exif_leaves_the_image_as_it_is():
    exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x09garbage"
    data = encode_array(quadrants(), "JPEG", exif=exif)
    assert decode_image(data, 64)[1] == (64, 64)


@pytest.mark.parametrize("resize", ["bilinear", "bicubic", "lanczos"])
def test_pixels_are_weighed_as_pillow_does_by_that_name(resize):
    pixels = np.random.default_rng(1).integers(0, 256, (90, 70, 3), dtype=np.uint8)
    found = decode_image(encode_array(pixels), 32, resize=resize).pixels
    expected = Image.fromarray(pixels).resize((32, 32), Image.Resampling[resize.upper()])
    np.testing.assert_array_equal(found, np.asarray(expected))
