"""Why a file is refused: the reason, and words that help."""

import gzip
import random

import pytest
from PIL import Image

from pipeline.failures import MESSAGE_LENGTH, BadImage
from pipeline.images import refusals
from pipeline.images.photo import decode_image
from pipeline.images.truth import decode_mask
from tests.hostile.containers import chunk, gray_tiff, png
from tests.hostile.photos import SUFFIXES, encode, photo

# Of Pillow, which say nothing to a photographer.
UNHELPFUL = ("decoder error", "cannot load this image", "decompression bomb", "none of these")


def refusal(data):
    with pytest.raises(BadImage) as caught:
        decode_image(data, 16)
    return caught.value


@pytest.mark.parametrize("suffix", ["PNG", "JPEG", "TIFF"])
def test_a_file_cut_in_its_head_is_broken(suffix):
    data = encode(photo(), suffix)
    for length in (8, 9, 12, 20, 33):
        error = refusal(data[:length])
        assert error.reason == "broken", (length, str(error))
        assert suffix in str(error)


@pytest.mark.parametrize("suffix", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_damage_in_its_head_does_not_make_a_file_no_image(suffix):
    rng, refused = random.Random(0), 0
    data = encode(photo(), suffix)
    first = {"PNG": 8, "JPEG": 3, "TIFF": 4, "WEBP": 12}[suffix]
    for _ in range(150):
        changed = bytearray(data)
        for _ in range(3):
            changed[rng.randrange(first, min(len(data), 300))] = rng.randrange(256)
        try:
            decode_image(bytes(changed), 16)
        except BadImage as error:
            refused += 1
            assert error.reason in ("broken", "unsupported", "too_large", "bomb")
    assert refused > 10


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_no_message_needs_a_programmer(suffix):
    rng, data, messages = random.Random(1), encode(photo(), suffix), set()
    for _ in range(150):
        changed = bytearray(data[: rng.choice((len(data), len(data) * 2 // 3))])
        for _ in range(8):
            changed[rng.randrange(2, len(changed))] = rng.randrange(256)
        for call in ((decode_image, bytes(changed), 16), (decode_mask, bytes(changed))):
            try:
                call[0](*call[1:])
            except BadImage as error:
                messages.add(str(error))
    assert messages
    for message in messages:
        assert not any(words in message.lower() for words in UNHELPFUL), message


def test_a_png_copied_as_text_is_broken():
    """Its first bytes are made to show that: a carriage return is lost."""
    error = refusal(encode(photo(), "PNG").replace(b"\r\n", b"\n"))
    assert error.reason == "broken" and "PNG" in str(error)


def test_a_png_without_pixels_is_broken():
    empty = png(4, 4, b"").replace(chunk(b"IDAT"), b"")
    error = refusal(empty)
    assert error.reason == "broken" and "PNG" in str(error)


def test_a_file_that_is_cut_is_said_to_be_cut():
    noise = random.Random(2).randbytes(90 * 90 * 3)
    image = Image.frombytes("RGB", (90, 90), noise)
    for suffix in ("PNG", "JPEG", "BMP"):
        data = encode(image, suffix)
        error = refusal(data[: len(data) // 2])
        assert str(error) == f"the {suffix} is cut short; copy it from its source again"


@pytest.mark.parametrize(
    ("head", "name", "remedy"),
    [
        (b"\0\0\0\x18ftypcrx \0\0\0\0", "raw photo", "convert"),
        (b"\0\0\0\x18ftypisom\0\0\0\0", "video", "frame"),
        (b"\xff\x0a\xfa\x1f", "JPEG XL", "convert"),
        (b"8BPS\0\1", "Photoshop", "convert"),
        (b"%PDF-1.7\n", "PDF", "convert"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG", "convert"),
        (b"<?xml version='1.0'?><svg/>", "SVG", "convert"),
        (b"<!doctype html><title>404</title>", "web page", "download"),
        (b"<HTML>404", "web page", "download"),
        (b"SIMPLE  =                    T", "FITS", "convert"),
        (bytes(128) + b"DICM", "DICOM", "convert"),
        (b"\1\xda\1\1\0\3", "SGI", "convert"),
        (b"\0\0\2\0\1\0\x20\x20", "cursor", "convert"),
        (b"P7\nWIDTH 4\n", "Netpbm", "convert"),
        (gzip.compress(b"a photo", mtime=0), "gzip", "unpack"),
        (b"PK\3\4\x14\0", "zip", "unpack"),
        (b"a.jpg".ljust(257, b"\0") + b"ustar\0", "tar", "unpack"),
    ],
)
def test_other_kinds_of_files_are_named_with_what_would_do(head, name, remedy):
    error = refusal(head + bytes(400))
    assert error.reason == "unsupported"
    assert name in str(error) and remedy in str(error)
    assert len(str(error)) <= MESSAGE_LENGTH


@pytest.mark.parametrize(
    ("brand", "name", "format_name"),
    [(b"avif", "AVIF", "AVIF"), (b"heic", "HEIC", "HEIF"), (b"mif1", "HEIC", "HEIF")],
)
@pytest.mark.parametrize("is_read", [True, False])
def test_what_a_decoder_would_read_is_damaged_and_else_unsupported(
    monkeypatch, brand, name, format_name, is_read
):
    readers = {**Image.OPEN, format_name: None} if is_read else {}
    monkeypatch.setattr(refusals.Image, "OPEN", readers)
    monkeypatch.setattr(refusals.features, "check", lambda feature: True)
    error = refusals.unidentified(b"\0\0\0\x1cftyp" + brand + bytes(400))
    if is_read:
        assert error.reason == "broken" and str(error).endswith("larger than its decoder takes")
    else:
        assert error.reason == "unsupported" and "convert" in str(error)
    assert name in str(error)


@pytest.mark.parametrize("head", [b"P6 is a painting", b"just text", b"PKZIP is a program"])
def test_a_text_that_begins_alike_is_no_image(head):
    assert refusal(head + bytes(400)).reason == "not_an_image"


def test_a_tiff_of_a_kind_that_is_not_read_is_unsupported_and_says_what_would_do():
    error = refusal(gray_tiff(4, 4, bytes(128), BITS=64))
    assert error.reason == "unsupported"
    assert "TIFF" in str(error) and "convert it to 8-bit RGB" in str(error)
    error = refusal(gray_tiff(4, 4, bytes(128), COMPRESSION=34712))  # JPEG 2000.
    assert error.reason == "unsupported"
    assert "TIFF of compression 34712" in str(error) and "without compression" in str(error)


def test_memory_that_does_not_suffice_is_no_damage(monkeypatch):
    def full(*_, **__):
        raise MemoryError

    data = encode(photo(), "PNG")
    monkeypatch.setattr(Image.Image, "resize", full)
    error = refusal(data)
    assert error.reason == "too_large" and "memory" in str(error)


def test_a_tiff_of_a_coding_that_this_libtiff_lacks_is_unsupported():
    error = refusal(gray_tiff(4, 4, bytes(16), COMPRESSION=50001))  # WebP.
    assert error.reason in ("unsupported", "broken")
    lacking = refusals.missing_coding(["a", "WEBP compression support is not configured"])
    assert lacking.reason == "unsupported"
    assert "WEBP" in str(lacking) and "without compression" in str(lacking)
    assert refusals.missing_coding(["Bad code word at line 3"]) is None


def test_what_pillow_logs_does_not_reach_the_terminal(caplog, capfd):
    error = refusal(gray_tiff(4, 4, bytes(16), SAMPLES=65535))
    assert error.reason in ("broken", "unsupported")
    assert caplog.records == [] and capfd.readouterr() == ("", "")
