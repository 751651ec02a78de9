"""Damaged TIFFs: the same file is always the same picture, or always a failure.

libtiff leaves pixels unwritten after some errors. Memory that is filled with one value before the
first reading and with another before the second would show there.
"""

import ctypes
import io
import os
import platform
import random
import struct
import tempfile

import numpy as np
import pytest
from PIL import Image, features

from pipeline.failures import BadImage
from pipeline.images.photo import decode_image
from pipeline.images.truth import decode_mask
from tests.pipeline.encoded import encode
from tests.pipeline.fresh_process import in_a_fresh_process

# For one-bit pictures, and for gray or colour.
FAX = ("group3", "group4", "tiff_ccitt")
OTHERS = ("tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits", "jpeg", "zstd", "lzma")
M_PERTURB = -6

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or not features.check("libtiff"),
    reason="fills memory by a switch of the GNU C library",
)


def picture(compression):
    """200 x 160 pixels, with more than a kilobyte in each strip."""
    y, x = np.mgrid[:160, :200]
    gray = ((x * x + 3 * y * y) // 90 % 256).astype(np.uint8)
    image = Image.fromarray(gray)
    return image.convert("1") if compression in FAX else image


def damaged(data, seed):
    """Cut at 50, 90 and 99 %, then with 20 flipped bits: among all bytes, or among the pixels."""
    if seed < 3:
        return data[: int(len(data) * (0.5, 0.9, 0.99)[seed])]
    rng, changed = random.Random(seed), bytearray(data)
    # Pillow writes the pixels behind the directory.
    first = 8 if seed % 2 else 400
    for _ in range(20):
        changed[rng.randrange(first, len(data))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def without_rows_per_strip(tiff):
    """A TIFF of which tag 278 is taken out, so that one strip holds all rows."""
    (start,) = struct.unpack_from("<I", tiff, 4)
    (count,) = struct.unpack_from("<H", tiff, start)
    end = start + 2 + 12 * count
    entries = [tiff[at : at + 12] for at in range(start + 2, end, 12)]
    kept = [entry for entry in entries if struct.unpack_from("<H", entry) != (278,)]
    assert len(kept) == count - 1
    directory = struct.pack("<H", count - 1) + b"".join(kept) + tiff[end : end + 4] + bytes(12)
    return tiff[:start] + directory + tiff[end + 4 :]


def outcome(function, data, *arguments):
    try:
        decoded = function(data, *arguments)
    except BadImage as error:
        return error.reason
    return (decoded if isinstance(decoded, np.ndarray) else decoded.pixels).tobytes()


def decode_damaged(compression):
    """Reads a damaged file of a coding many times."""
    whole = encode(picture(compression), "TIFF", compression=compression)
    files = [damaged(whole, seed) for seed in range(40)]
    return decode_twice(
        [*files, *(damaged(without_rows_per_strip(whole), seed) for seed in range(10))]
    )


def decode_twice(files):
    """What is wrong with a reading after another, what is said on stderr, and the outcomes."""
    libc, found, wrong = ctypes.CDLL(None), [], []
    with tempfile.TemporaryFile() as said:
        terminal = os.dup(2)
        os.dup2(said.fileno(), 2)
        for number, data in enumerate(files):
            for call in ((decode_image, data, 64), (decode_mask, data)):
                libc.mallopt(M_PERTURB, 0x55)
                first = outcome(*call)
                libc.mallopt(M_PERTURB, 0xCC)
                second = outcome(*call)
                found.append(first if isinstance(first, str) else "decoded")
                if first != second:
                    wrong.append((number, call[0].__name__))
        libc.mallopt(M_PERTURB, 0)
        os.dup2(terminal, 2)
        said.seek(0)
        return wrong, said.read(), found


@pytest.mark.parametrize("compression", FAX + OTHERS)
def test_a_damaged_tiff_is_the_same_picture_twice_or_a_failure_twice(compression):
    wrong, said, found = in_a_fresh_process(decode_damaged, compression)
    assert wrong == []
    # What libtiff says is the image's, and not the terminal's.
    assert said == b""
    assert "broken" in found and "not_an_image" not in found


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("compression", OTHERS)
def test_a_tiff_of_several_strips_that_does_not_say_their_rows_is_broken(compression, mode):
    image = picture(compression).convert(mode)
    whole = encode(image, "TIFF", compression=compression, strip_size=4096)
    cut = without_rows_per_strip(whole)
    wrong, said, found = in_a_fresh_process(decode_twice, [cut])
    assert (wrong, said, found) == ([], b"", ["broken", "broken"])
    # Of one strip, it would say nothing new.
    single = encode(image, "TIFF", compression=compression, strip_size=1 << 20)
    np.testing.assert_array_equal(decode_mask(without_rows_per_strip(single)), decode_mask(single))


@pytest.mark.parametrize("height", [16, 23])
def test_a_jpeg_that_is_smaller_than_its_strip_is_broken(height):
    whole = encode(picture("jpeg"), "TIFF", compression="jpeg", strip_size=4096)
    head = b"\xff\xc0\0\x0b\x08" + struct.pack(">H", 24)
    assert head in whole
    cut = whole.replace(head, head[:-2] + struct.pack(">H", height), 1)
    wrong, said, found = in_a_fresh_process(decode_twice, [cut])
    assert (wrong, said, found) == ([], b"", ["broken", "broken"])


@pytest.mark.parametrize("compression", FAX + OTHERS)
def test_a_sound_tiff_of_every_compression_is_read(compression):
    image = picture(compression)
    data = encode(image, "TIFF", compression=compression)
    expected = Image.open(io.BytesIO(data)).convert("L")
    np.testing.assert_array_equal(decode_mask(data), expected)


@pytest.mark.parametrize("compression", FAX)
@pytest.mark.parametrize("width", [1, 5, 127, 130, 500])
def test_a_sound_fax_may_have_a_width_that_is_no_multiple_of_8(compression, width):
    image = picture(compression).crop((0, 0, width, 160))
    expected = image.convert("L")
    for options in ({}, {"strip_size": 256}):
        data = encode(image, "TIFF", compression=compression, **options)
        np.testing.assert_array_equal(decode_mask(data), expected)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK", "YCbCr"])
@pytest.mark.parametrize("width", [40, 201])
@pytest.mark.parametrize("strip_size", [1 << 20, 40_000])
def test_a_sound_jpeg_in_a_tiff_of_any_size_is_read(mode, width, strip_size):
    image = picture("jpeg").resize((width, 152)).convert("RGB").convert(mode)
    data = encode(image, "TIFF", compression="jpeg", strip_size=strip_size)
    assert decode_image(data, 32).size == (width, 152)


def test_an_error_that_pillow_passes_over_is_a_failure_with_libtiffs_words():
    whole = encode(picture("group3"), "TIFF", compression="group3")
    messages = []
    for seed in range(3, 23):
        changed = damaged(whole, seed)
        try:
            decode_image(changed, 64)
        except BadImage as error:
            messages.append(str(error))
    told = [message for message in messages if "Bad code word at line" in message]
    assert told and all(one.startswith("the pixels of the TIFF are damaged: ") for one in told)
