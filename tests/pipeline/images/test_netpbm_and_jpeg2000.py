"""Netpbm and JPEG 2000: what they hold, what their headers may ask for, and files cut short."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from pipeline.failures import BadImage
from pipeline.images import open_safely
from pipeline.images.netpbm import MAX_TEXT_PIXELS, with_usual_white
from pipeline.images.photo import decode_image
from pipeline.images.truth import decode_truth
from tests.hostile.photos import encode, photo
from tests.pipeline.fresh_process import in_a_fresh_process


def reason(data):
    with pytest.raises(BadImage) as caught:
        decode_image(data, 32)
    return caught.value.reason


def netpbm(kind, width, height, white, numbers):
    dtype = ">u2" if white > 255 else "u1"
    head = b"P%d # a comment\n%d %d\n%d\n" % (kind, width, height, white)
    return head + np.asarray(numbers, dtype).tobytes()


@pytest.mark.parametrize("white", [1, 15, 100, 255, 256, 1023, 4095, 65535])
@pytest.mark.parametrize("kind", [5, 6])
def test_numbers_are_scaled_as_pillow_scales_them(kind, white):
    rng = np.random.default_rng(white)
    numbers = rng.integers(0, white + 1, 20 * 30 * (1 if kind == 5 else 3))
    data = netpbm(kind, 30, 20, white, numbers)
    ours = np.asarray(Image.open(io.BytesIO(with_usual_white(data)))).astype(int)
    theirs = np.asarray(Image.open(io.BytesIO(data))).astype(int)
    assert ours.shape == theirs.shape and np.abs(ours - theirs).max() <= 1
    shown = numbers.reshape(theirs.shape) / white * (255 if theirs.max() < 256 else 65535)
    assert np.abs(ours - shown).max() <= 1


def test_gray_of_12_bits_is_read_by_its_own_white_and_not_guessed():
    ramp = np.repeat(np.linspace(0, 4095, 64).astype(int)[None], 64, axis=0)
    found = decode_image(netpbm(5, 64, 64, 4095, ramp), 64)
    assert found.guess == ""
    assert np.abs(found.pixels[0, :, 0].astype(int) - ramp[0] / 4095 * 255).max() <= 1.5
    # Of white at 65,535 it is not known, as in any format of 16 bits.
    assert decode_image(netpbm(5, 64, 64, 65535, ramp), 64).guess.startswith("12 bits")


def test_black_and_white_are_a_truth():
    mask = np.zeros((20, 30), bool)
    mask[5:10, 8:20] = True
    data = encode(Image.fromarray(mask), "PPM")
    assert data.startswith(b"P4")
    np.testing.assert_array_equal(decode_truth(data, (30, 20)), mask)


def test_text_is_read_up_to_a_size():
    small = b"P2 2 2 9 0 9 9 0"
    assert decode_image(small, 32).size == (2, 2)
    assert reason(b"P3 %d 2 255\n" % MAX_TEXT_PIXELS + b"1 " * 99) == "too_large"


@pytest.mark.parametrize("kind", [b"P4", b"P5", b"P6"])
def test_a_netpbm_file_that_lies_is_refused(kind):
    white = b"" if kind == b"P4" else b" 255"
    assert reason(kind + b" 20000 20000" + white + b"\n" + bytes(99)) == "too_large"
    assert reason(kind + b" 64 64" + white + b"\n" + bytes(99)) == "broken"
    assert reason(kind + b" 64 -64" + white + b"\n" + bytes(9999)) == "not_an_image"
    assert reason(kind + b" # " + b"x" * 9_000_000) == "not_an_image"


# JPEG 2000


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("options", [{}, {"no_jp2": True}, {"tile_size": (64, 64)}])
def test_a_picture_is_read_as_pillow_reads_it(mode, options):
    source = photo(200, 150).convert(mode)
    if mode in ("LA", "RGBA"):
        source.putalpha(255)
    found = decode_image(encode(source, "JPEG2000", **options), 128)
    expected = source.convert("RGB").resize((128, 128), Image.Resampling.BILINEAR)
    assert found.size == (200, 150)
    assert np.abs(found.pixels.astype(int) - np.asarray(expected)).mean() < 1


@pytest.mark.parametrize("size", [(1000, 800), (1023, 771), (1025, 769), (513, 2049)])
def test_a_large_picture_is_halved_while_it_is_decoded(size):
    source = photo(*size)
    data = encode(source, "JPEG2000")
    found = decode_image(data, 32)
    assert found.size == size
    expected = decode_image(encode(source, "PNG"), 32).pixels
    assert np.abs(found.pixels.astype(int) - expected).mean() < 3
    with open_safely.opened(data, 64) as (image, full, _):
        assert full == size and min(image.size) >= 64
    with open_safely.opened(data) as (image, _, _):
        assert image.size == size


def test_gray_of_16_bits_keeps_its_upper_8():
    ramp = np.repeat(np.linspace(0, 65535, 64).astype(np.uint16)[None], 64, axis=0)
    found = decode_image(encode(Image.fromarray(ramp), "JPEG2000"), 64)
    assert np.abs(found.pixels[0, :, 0].astype(int) - (ramp[0] >> 8)).max() <= 1


def changed(data, marker, offset, value):
    """The data with bytes changed at an offset behind the first marker."""
    at = data.index(marker) + offset
    return data[:at] + value + data[at + len(value) :]


def test_headers_that_ask_for_too_much_are_refused():
    data = encode(photo(400, 300), "JPEG2000")
    size, coding = b"\xff\x51", b"\xff\x52"
    tiles = struct.pack(">II", 2, 2)
    assert reason(changed(data, size, 22, tiles)) == "bomb"
    assert reason(changed(data, size, 22, bytes(8))) == "broken"
    assert reason(changed(data, size, 6, struct.pack(">II", 90_000, 90_000))) == "broken"
    assert reason(changed(data, size, 38, b"\x40\0")) == "broken"
    assert reason(changed(data, coding, 6, b"\xff\xff")) == "bomb"
    assert reason(changed(data, coding, 10, b"\0\0")) == "bomb"
    huge = changed(data, b"ihdr", 4, struct.pack(">II", 90_000, 90_000))
    assert reason(huge) == "too_large"
    small = encode(photo(400, 300), "JPEG2000", codeblock_size=(4, 4))
    assert reason(small) == "bomb"
    assert reason(encode(photo(400, 300), "JPEG2000", precinct_size=(16, 16))) == "bomb"


def test_a_file_cut_short_is_said():
    data = encode(photo(400, 300), "JPEG2000", tile_size=(128, 128))
    for share in (0.02, 0.2, 0.5, 0.9):
        assert reason(data[: int(len(data) * share)]) == "broken"
    whole = encode(photo(400, 300), "JPEG2000")
    for cut in (10, 100, len(whole) // 2):
        assert reason(whole[:-cut]) == "broken"


def growth_of(data):
    """MiB that decoding takes at its peak, in full."""
    from tests.hostile.attempt import peak_memory

    decode_image(encode(photo(), "JPEG2000"), 32)
    before = peak_memory()
    with open_safely.opened(data) as (image, _, _):
        assert image.size == (2400, 2400)
    return peak_memory() - before


def test_memory_is_what_the_bound_says():
    for mode in ("L", "RGB", "RGBA"):
        data = encode(photo(2400, 2400).convert(mode), "JPEG2000")
        bound = open_safely.BYTES_A_PIXEL["JPEG2000"] * 2400**2 / 2**20
        assert in_a_fresh_process(growth_of, data) < bound
