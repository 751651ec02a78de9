"""Decoding, against images built here and transformed with NumPy."""

import contextlib
import io

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.testing.util import assert_that, equal_to
from PIL import Image

from pipeline.images import open_safely as open_image
from pipeline.images import photo as decode
from pipeline.images.photo import DecodeImages, decode_image
from pipeline.images.truth import decode_mask
from pipeline.records import BadImage, ImageRecord
from tests.pipeline.encoded import encode, encode_array, palette_image, reason

SUFFIXES = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")


def quadrants(size=64):
    """Red, green, blue and white, a quarter each."""
    pixels = np.zeros((size, size, 3), np.uint8)
    half = size // 2
    pixels[:half, :half] = 255, 0, 0
    pixels[:half, half:] = 0, 255, 0
    pixels[half:, :half] = 0, 0, 255
    pixels[half:, half:] = 255, 255, 255
    return pixels


# Photos


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_gives_the_colours_that_were_put_in(suffix):
    options = {"quality": 95} if suffix in ("JPEG", "WEBP") else {}
    pixels, size = decode_image(encode_array(quadrants(), suffix, **options), 64)
    assert pixels.dtype == np.uint8 and size == (64, 64)
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
    small, size = decode_image(encode_array(large), 32)
    assert size == (32 * factor, 32 * factor)
    centres = small[4::8, 4::8].astype(int)
    assert np.abs(centres - blocks).max() <= 1


def test_reducing_first_costs_nothing_visible():
    rng = np.random.default_rng(6)
    rough = Image.fromarray(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8))
    photo = rough.resize((1100, 730), Image.Resampling.BICUBIC)
    exact = np.asarray(photo.resize((64, 64), Image.Resampling.BILINEAR)).astype(int)
    difference = np.abs(decode_image(encode(photo), 64)[0] - exact)
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
        monkeypatch.setattr(decode, "BLOCK", block)
        pixels, size = decode_image(data, 32)
        assert size == (471, 333)
        np.testing.assert_array_equal(pixels, expected)
        np.testing.assert_array_equal(decode_mask(data), np.asarray(_first(data).convert("L")))


def _first(data):
    return Image.open(io.BytesIO(data))


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
    monkeypatch, image, most_on_average, most
):
    sizes = []
    real = decode.opened

    @contextlib.contextmanager
    def spy(*given):
        with real(*given) as found:
            sizes.append(found[0].size)
            yield found

    monkeypatch.setattr(decode, "opened", spy)
    data = encode(image, "JPEG", quality=92)
    pixels, size = decode_image(data, 192)
    # BMP holds the same pixels, and is never decoded at reduced scale.
    exact, _ = decode_image(encode(Image.open(io.BytesIO(data)), "BMP"), 192)
    assert size == image.size
    assert sizes[0][0] <= image.width / 2
    assert min(sizes[0]) >= 2 * 192
    difference = np.abs(pixels.astype(int) - exact)
    assert difference.mean() <= most_on_average and difference.max() <= most


def test_a_large_jpeg_on_its_side_keeps_its_full_upright_size():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode(large_photo(1500, 700), "JPEG", exif=exif)
    pixels, size = decode_image(data, 32)
    assert size == (700, 1500)
    assert decode_mask(data).shape == (1500, 700)
    upright = large_photo(1500, 700).transpose(Image.Transpose.ROTATE_270)
    small = np.asarray(upright.resize((32, 32), Image.Resampling.BILINEAR))
    assert np.abs(pixels.astype(int) - small).mean() < 6


@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (2000, 1), (3, 7), (31, 33)])
def test_any_shape_becomes_the_square_and_its_size_is_width_then_height(size):
    image = Image.new("RGB", size, (10, 200, 30))
    pixels, found = decode_image(encode(image), 32)
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
    pixels, size = decode_image(data, 64)
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
    pixels, _ = decode_image(data, 8)
    assert (pixels[:, :4] == 0).all()
    assert (pixels[:, 4:] == 255).all()


def test_16_bits_beside_a_transparent_colour_keep_their_level():
    pixels, _ = decode_image(
        encode_array(np.array([[0x4D12, 0x4D13]] * 2, np.uint16), transparency=0x4D13), 2
    )
    assert pixels[0, :, 0].tolist() == [0x4D, 255]


def test_half_transparent_black_on_white_is_gray():
    pixels, _ = decode_image(encode(Image.new("RGBA", (4, 4), (0, 0, 0, 128))), 4)
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
        (encode_array(np.full((4, 4), 1 << 20, np.int32), "TIFF"), 255),
        (encode_array(np.full((4, 4), 0.5, np.float32), "TIFF"), 128),
        (encode_array(np.full((4, 4), 7.0, np.float32), "TIFF"), 255),
        (encode_array(np.full((4, 4), np.nan, np.float32), "TIFF"), 0),
        (encode_array(np.full((4, 4), np.inf, np.float32), "TIFF"), 255),
        (encode_array(np.full((4, 4), -np.inf, np.float32), "TIFF"), 0),
    ],
    ids=range(18),
)
def test_every_mode_becomes_rgb_of_its_own_level(data, expected):
    pixels, _ = decode_image(data, 4)
    assert pixels.shape == (4, 4, 3)
    assert np.abs(pixels.astype(int) - expected).max() <= 1


def test_16_bits_are_not_stretched_to_their_own_range():
    pixels, _ = decode_image(encode_array(np.array([[0, 0x0100]], np.uint16)), 8)
    assert pixels.max() == 1


@pytest.mark.parametrize("suffix", ["GIF", "WEBP", "TIFF"])
def test_the_first_frame_counts(suffix):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "lime")]
    options = {"lossless": True} if suffix == "WEBP" else {}
    data = encode(frames[0], suffix, save_all=True, append_images=frames[1:], **options)
    assert Image.open(io.BytesIO(data)).n_frames == 3
    assert (decode_image(data, 4)[0] == (255, 0, 0)).all()


# What is no photo


def test_no_bytes_and_other_files_are_told_apart():
    assert reason(decode_image, b"", 8) == "empty"
    for data in (b"just text", b"<svg/>", b"\x89PNG", b"%PDF-1.4", b"\0" * 1000):
        assert reason(decode_image, data, 8) == "not_an_image"


def test_formats_that_are_not_listed_are_refused():
    for suffix in ("ICO", "PPM", "EPS", "TGA"):
        data = encode_array(quadrants(), suffix)
        assert reason(decode_image, data, 8) == "not_an_image"


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
            pixels, _ = decode_image(bytes(damaged), 8)
        except BadImage:
            continue
        assert pixels.shape == (8, 8, 3)


def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded(monkeypatch):
    monkeypatch.setattr(open_image, "MAX_PIXELS", 64 * 64)
    data = encode_array(quadrants())
    assert decode_image(data, 8)[1] == (64, 64)
    assert reason(decode_image, encode(Image.new("L", (64, 65))), 8) == "too_large"
    assert reason(decode_mask, encode(Image.new("L", (1, 4097)))) == "too_large"
    # It is cut in its pixels: whoever decoded it would call it broken.
    assert reason(decode_image, encode(Image.new("L", (5000, 5000)))[:200], 8) == "too_large"


# The stage


def test_the_stage_decodes_what_it_can_and_names_the_rest(monkeypatch):
    real = decode.decode_image

    def decode_or_die(data, size):
        if data == b"memory":
            raise MemoryError("too much")
        return real(data, size)

    monkeypatch.setattr(decode, "decode_image", decode_or_die)
    records = [
        ImageRecord("a", "masks/a.png", encode(Image.new("L", (3, 2), 9)), b"T"),
        ImageRecord("b", "masks/b.png", b""),
        ImageRecord("c", "masks/c.png", b"memory"),
        ImageRecord("d", "masks/d.png", b"text"),
    ]
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        decoded = pipeline | beam.Create(records) | DecodeImages(4, 2)
        images = decoded.images | "I" >> beam.Map(
            lambda one: (one.key, one.mask, one.size, one.truth, one.pixels.tolist())
        )
        gray = [[[9, 9, 9]] * 4] * 4
        assert_that(images, equal_to([("a", "masks/a.png", (3, 2), b"T", gray)]), label="images")
        failures = decoded.failures | "F" >> beam.Map(lambda one: (one.key, one.stage, one.reason))
        expected = [
            ("b", "decode", "empty"),
            ("c", "decode", "MemoryError"),
            ("d", "decode", "not_an_image"),
        ]
        assert_that(failures, equal_to(expected), label="failures")
