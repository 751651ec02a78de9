"""Hostile images: (kind, suffix, bytes) each, the same bytes every time."""

import gzip
import io
import json
import pickle
import random
import struct
import tarfile
import zipfile
import zlib

from PIL import Image

from tests.hostile.containers import (
    png,
    segment,
    with_segments,
)
from tests.hostile.formats import abused_formats
from tests.hostile.photos import SUFFIXES, encode, photo


def hostile_images():
    """Yields every image of the corpus."""
    for source in (
        _no_images,
        _other_formats,
        _extreme_sizes,
        _damaged,
        _many_frames,
        _wrong_suffixes,
        _polyglots,
        abused_formats,
        _profiles,
        _modes,
    ):
        yield from source()


def _no_images():
    yield "empty", ".jpg", b""
    yield "empty", ".png", b""
    yield "few bytes", ".png", b"\x89"
    yield "few bytes", ".jpg", b"\xff\xd8"
    yield "few bytes", ".gif", b"GIF89a"
    yield "few bytes", ".tif", b"II*\0"
    yield "few bytes", ".bmp", b"BM"
    yield "few bytes", ".webp", b"RIFF\0\0\0\0WEBP"
    yield "zeros", ".jpg", bytes(100_000)
    yield "noise", ".jpg", random.Random(1).randbytes(50_000)
    yield "text", ".jpg", b"This is no image.\nIt has lines.\r\nThree of them.\n" * 50
    yield "text", ".png", ("\N{RIGHT-TO-LEFT OVERRIDE}\x1b[31mred\x07\n" * 50).encode()
    yield "html", ".jpg", b"<!DOCTYPE html><html><body><h1>404 Not Found</h1></body></html>"
    yield "json", ".png", json.dumps({"error": "expired"}).encode()
    yield "svg", ".png", b'<svg xmlns="http://www.w3.org/2000/svg"><rect width="9"/></svg>'
    bomb = b'<!DOCTYPE x [<!ENTITY a "a"><!ENTITY b "&a;&a;&a;&a;">]><x>&b;</x>'
    yield "xml", ".webp", bomb
    yield "pickle", ".png", pickle.dumps(_Marker())
    yield "elf", ".jpg", b"\x7fELF\x02\x01\x01" + bytes(9) + random.Random(2).randbytes(4000)
    yield "script", ".jpg", b"#!/bin/sh\ntouch hostile-was-here\n"
    yield "zip", ".jpg", _zip()
    yield "tar", ".tif", _tar()
    yield "gzip", ".png", gzip.compress(encode(photo(), "PNG"), mtime=0)
    yield "pdf", ".jpg", b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF"
    yield "video", ".gif", b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + bytes(500)


class _Marker:
    """Leaves a file where the job runs, should anybody unpickle it."""

    def __reduce__(self):
        return open, ("hostile-was-here", "w")


def _zip():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(zipfile.ZipInfo("../../escaped.jpg"), b"x")
    return buffer.getvalue()


def _tar():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        link = tarfile.TarInfo("link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        file.addfile(link)
    return buffer.getvalue()


def _other_formats():
    """What Pillow could open, but nobody asked it to."""
    for suffix in ("ICO", "EPS", "TGA", "PCX", "SGI", "DDS", "ICNS", "IM", "MSP", "BLP", "QOI"):
        image = photo().resize((32, 32)) if suffix == "ICNS" else photo()
        image = image.convert({"MSP": "1", "BLP": "P"}.get(suffix, image.mode))
        yield f"{suffix} inside", ".png", encode(image, suffix)
    psd = b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 9, 9, 8, 3) + bytes(400)
    yield "PSD inside", ".jpg", psd
    shell = (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%touch hostile-was-here)(r)file\n"
    )
    yield "EPS inside", ".png", shell
    yield "FITS inside", ".tif", b"SIMPLE  =                    T".ljust(80) + b" " * 2800
    yield "XBM inside", ".png", b"#define a_width 9\n#define a_height 9\nstatic char a_bits[]={0};"


def _extreme_sizes():
    for suffix, ending in SUFFIXES.items():
        long = 16383 if suffix == "WEBP" else 20000
        yield "1 x 1", ending, encode(Image.new("RGB", (1, 1), "red"), suffix)
        yield "1 x 20000", ending, encode(Image.new("RGB", (1, long), "red"), suffix)
        yield "20000 x 1", ending, encode(Image.new("RGB", (long, 1), "red"), suffix)


def _damaged():
    rng = random.Random(3)
    for suffix, ending in SUFFIXES.items():
        data = encode(photo(), suffix)
        for share in (0.02, 0.3, 0.6, 0.97):
            yield "truncated", ending, data[: int(len(data) * share)]
        yield "without its last byte", ending, data[:-1]
        for flips in (1, 1, 3, 30):
            damaged = bytearray(data)
            for _ in range(flips):
                damaged[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            yield "bits flipped", ending, bytes(damaged)
        start = len(data) // 3
        yield "a hole of zeros", ending, data[:start] + bytes(64) + data[start + 64 :]
        yield "a part twice", ending, data[: 2 * start] + data[start:]
    progressive = encode(photo(), "JPEG", progressive=True)
    yield "truncated", ".jpg", progressive[: len(progressive) // 2]


def _many_frames():
    frames = [Image.new("RGB", (9, 7), (value, 0, 0)) for value in range(200)]
    for suffix in ("GIF", "TIFF", "WEBP", "PNG"):
        data = encode(frames[0], suffix, save_all=True, append_images=frames[1:])
        yield "200 frames", SUFFIXES[suffix], data
        yield "200 frames, cut short", SUFFIXES[suffix], data[: len(data) * 2 // 3]


def _wrong_suffixes():
    endings = list(SUFFIXES.values())
    for number, suffix in enumerate(SUFFIXES):
        yield "wrong suffix", endings[(number + 1) % len(endings)], encode(photo(), suffix)


def _polyglots():
    jpeg, image, animation = (encode(photo(), suffix) for suffix in ("JPEG", "PNG", "GIF"))
    yield "polyglot: JPEG and ZIP", ".jpg", jpeg + _zip()
    yield "polyglot: PNG and ZIP", ".png", image + _zip()
    yield "polyglot: GIF and script", ".gif", animation + b"=1;alert(1)//"
    yield "polyglot: JPEG and PHP", ".jpg", with_segments(jpeg, segment(0xFE, b"<?php die();?>"))
    yield "polyglot: PDF, then PNG", ".png", b"%PDF-1.4\n" + image
    yield "polyglot: PNG, then JPEG", ".png", image + jpeg
    yield "polyglot: BMP head, then JPEG", ".jpg", b"BM" + jpeg
    yield "polyglot: text, then GIF", ".gif", b"hello\n" + animation
    yield "polyglot: TIFF head, then PNG", ".tif", b"II*\0" + image


def _profiles():
    for number, profile in enumerate((b"", b"\xff" * 40, bytes(128), b"acsp" * 9999)):
        yield "ICC profile, garbage", ".jpg", encode(photo(), "JPEG", icc_profile=profile)
        suffix = ("PNG", "TIFF", "WEBP", "PNG")[number]
        if profile:
            data = encode(photo(), suffix, icc_profile=profile)
            yield "ICC profile, garbage", SUFFIXES[suffix], data
    parts = [segment(0xE2, b"ICC_PROFILE\0" + bytes([9, 2]) + b"x") for _ in range(300)]
    yield "ICC profile, parts in disorder", ".jpg", with_segments(encode(photo(), "JPEG"), *parts)


def _modes():
    image = photo()
    for mode in ("L", "1", "CMYK", "YCbCr", "RGBA", "LA", "P", "I", "I;16", "F"):
        source = image.convert("L") if mode in ("I", "I;16", "F") else image
        yield f"mode {mode}", ".tif", encode(source.convert(mode), "TIFF")
    lab = Image.merge("LAB", image.split())  # convert() would write the time into a profile.
    yield "mode LAB", ".tif", encode(lab, "TIFF")
    yield "mode CMYK", ".jpg", encode(image.convert("CMYK"), "JPEG")
    yield "mode L", ".jpg", encode(image.convert("L"), "JPEG")
    palette = image.convert("P")
    yield (
        "palette with transparency",
        ".png",
        encode(palette, "PNG", transparency=bytes(range(256))),
    )
    yield "palette with transparency", ".gif", encode(palette, "GIF", transparency=3)
    yield "gray with transparency", ".png", encode(image.convert("L"), "PNG", transparency=99)
    yield "nothing but transparency", ".png", encode(Image.new("RGBA", (9, 9)), "PNG")
    deep = struct.pack(">16H", *range(0, 65536, 4096)) * 4
    rows = b"".join(b"\0" + deep[:32] for _ in range(4))
    yield "16 bits and transparency", ".png", png(4, 4, zlib.compress(rows), bits=16, colour=6)
