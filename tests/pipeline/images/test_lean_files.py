"""Metadata is no reason to refuse an image, and what is left out changes no pixel."""

import random
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from pipeline.failures import BadImage
from pipeline.images.lean_files import MAX_PROFILE, MAX_TIFF_NUMBERS, lean
from pipeline.images.open_safely import opened
from pipeline.images.photo import decode_image
from tests.hostile.containers import SHORT, chunk, exif, gray_tiff, segment, with_segments
from tests.hostile.photos import SUFFIXES, encode, photo

NOISE = random.Random(0).randbytes(MAX_PROFILE + 100_000)
ZEROS = zlib.compress(bytes(16 << 20))


def with_chunk(png, *chunks, at_end=False):
    """A PNG with chunks behind its head, or before its end."""
    place = len(png) - 12 if at_end else 33
    return png[:place] + b"".join(chunks) + png[place:]


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"tEXt", b"Comment\0" + b"x" * 2_000_000),
        chunk(b"zTXt", b"Comment\0\0" + ZEROS),
        chunk(b"iTXt", b"Comment\0\1\0\0\0" + ZEROS),
        chunk(b"zTXt", b"Raw profile type exif\0\0" + ZEROS),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + ZEROS),
        chunk(b"tEXt", b"Comment\0x", crc=1),
        chunk(b"pHYs", bytes(9), crc=1),
        chunk(b"eXIf", exif([(274, 3, 1, 6)])[6:], crc=1),
        chunk(b"iCCP", b"a\0\0" + zlib.compress(NOISE)),
        chunk(b"iCCP", b"a\0\0" + ZEROS),
        chunk(b"iCCP", b"a\0\0no zlib"),
        chunk(b"gAMA", b"\1"),
        chunk(b"tIME", b""),
    ],
    ids=[
        "long text",
        "text bomb",
        "Unicode text bomb",
        "EXIF bomb",
        "XMP bomb",
        "text of a bad checksum",
        "resolution of a bad checksum",
        "EXIF of a bad checksum",
        "huge profile",
        "profile bomb",
        "broken profile",
        "short gamma",
        "no time",
    ],
)
@pytest.mark.parametrize("at_end", [False, True])
def test_what_hangs_on_a_png_changes_no_pixel_and_is_no_reason_to_refuse(extra, at_end):
    plain = encode(photo(), "PNG")
    pixels, size, guess = decode_image(with_chunk(plain, extra, at_end=at_end), 40)
    np.testing.assert_array_equal(pixels, decode_image(plain, 40).pixels)
    assert size == (48, 40) and guess == ""


def test_a_bad_checksum_of_pixels_is_a_reason_to_refuse():
    plain = encode(photo(), "PNG")
    start = plain.index(b"IDAT")
    with pytest.raises(BadImage) as caught:
        decode_image(plain[: start + 9] + b"\x77" + plain[start + 10 :], 40)
    assert caught.value.reason == "broken"


@pytest.mark.parametrize("tag", [50000, 700, 274])
def test_a_private_tag_with_many_numbers_changes_no_pixel(tag):
    pixels = bytes(range(16))
    many = (tag, SHORT, MAX_TIFF_NUMBERS + 1, bytes(2 * MAX_TIFF_NUMBERS + 2))
    found = decode_image(gray_tiff(4, 4, pixels, extra=[many]), 4).pixels
    assert found[..., 0].ravel().tolist() == list(range(16))


def test_a_big_tiff_with_such_a_tag_is_read_too():
    def entry(tag, kind, count, value):
        return struct.pack("<HHQQ", tag, kind, count, value)

    values = [(256, 3, 4), (257, 3, 4), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 16, 16)]
    entries = [entry(tag, kind, 1, value) for tag, kind, value in values]
    entries += [entry(277, 3, 1, 1), entry(278, 3, 1, 4), entry(279, 16, 1, 16)]
    entries.append(entry(50000, SHORT, MAX_TIFF_NUMBERS + 1, 0))
    directory = struct.pack("<Q", len(entries)) + b"".join(entries) + bytes(8)
    data = struct.pack("<4sHHQ", b"II+\0", 8, 0, 32) + bytes(range(16)) + directory
    data += bytes(2 * MAX_TIFF_NUMBERS + 2)
    found = decode_image(data, 4).pixels
    assert found[..., 0].ravel().tolist() == list(range(16))


def raw_profile(block):
    """EXIF as ImageMagick keeps it in PNG: a line each for a name and its length, then digits."""
    return b"\nexif\n%8d\n" % len(block) + block.hex().encode()


XMP = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"eXIf", exif([(274, 3, 1, 6)])[6:]),
        chunk(b"tEXt", b"Raw profile type exif\0" + raw_profile(exif([(274, 3, 1, 6)]))),
        chunk(
            b"zTXt",
            b"Raw profile type exif\0\0" + zlib.compress(raw_profile(exif([(274, 3, 1, 6)]))),
        ),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP),
    ],
    ids=["eXIf", "tEXt", "zTXt", "XMP"],
)
def test_the_orientation_survives_though_texts_are_left_out(extra):
    data = with_chunk(encode(photo(), "PNG"), chunk(b"tEXt", b"a\0" + b"x" * 2_000_000), extra)
    with opened(data) as (_, size, turn):
        assert size == (40, 48) and turn == Image.Transpose.ROTATE_270


def test_frames_of_an_animation_are_left_out():
    frames = [photo(), photo().rotate(90), photo().rotate(180)]
    data = encode(frames[0], "PNG", save_all=True, append_images=frames[1:])
    assert data.count(b"fdAT") == 2
    kept = lean(data)
    assert not any(name in kept for name in (b"acTL", b"fcTL", b"fdAT"))
    np.testing.assert_array_equal(decode_image(kept, 40).pixels, decode_image(data, 40).pixels)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_ordinary_file_stays_as_it_is(suffix):
    data = encode(photo(), suffix)
    assert lean(data) is data
    turned = encode(photo(), suffix, exif=exif([(274, 3, 1, 6)])) if suffix == "JPEG" else data
    assert lean(turned) == turned


def test_a_jpeg_keeps_its_first_exif():
    segments = [segment(0xE1, exif([(274, 3, 1, turn)])) for turn in (6, 3)]
    data = with_segments(encode(photo(), "JPEG"), *segments)
    assert lean(data).count(b"Exif\0\0") == 1 and len(lean(data)) == len(data)


@pytest.mark.parametrize("length", range(0, 60, 7))
@pytest.mark.parametrize("suffix", ["PNG", "TIFF", "JPEG"])
def test_a_file_that_is_cut_in_its_head_is_left_to_pillow(suffix, length):
    data = encode(photo(), suffix)[:length]
    assert data.startswith(lean(data))
