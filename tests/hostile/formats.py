"""Images whose format is abused: (kind, suffix, bytes) each, the same bytes every time."""

import struct
import zlib

import numpy as np
from PIL import Image

from tests.hostile.containers import (
    ASCII,
    BLACK_4_X_4,
    BYTE,
    FLOAT,
    LONG,
    ORIENTATION,
    RATIONAL,
    SHORT,
    UNDEFINED,
    bmp,
    chunk,
    exif,
    gif,
    gray_png,
    gray_tiff,
    png,
    segment,
    tags,
    tiff,
    webp,
    webp_canvas,
    with_segments,
)
from tests.hostile.photos import SUFFIXES, encode, photo

BOMB = 64 << 20


def abused_formats():
    """Yields every image."""
    for source in (
        _png_bombs,
        _png_chunks,
        _png_animations,
        _gifs,
        _bmps,
        _webps,
        _jpegs,
        _jpeg2000s,
        _netpbms,
        _tiff_directories,
        _tiff_strips,
        _tiff_numbers,
        _exif_blocks,
    ):
        yield from source()


def _png_bombs():
    zeros = zlib.compress(bytes(BOMB), 9)
    rows = zlib.compress(bytes(20000 * 3126), 9)
    yield "500 megapixels", ".png", png(20000, 25000, b"")
    yield "500 megapixels", ".png", png(25000, 20000, rows, bits=1)
    yield "2 gigapixels a side", ".png", png(2**31 - 1, 2**31 - 1, zeros, bits=16, colour=6)
    yield "PNG of no width", ".png", png(0, 10, zeros)
    yield "PNG of no height", ".png", png(10, 0, zeros)
    yield "PNG of negative size", ".png", png(2**32 - 1, 1, zeros)
    yield "zlib bomb in IDAT", ".png", png(4, 4, zeros)
    yield "zlib bomb in iCCP", ".png", gray_png(before=chunk(b"iCCP", b"a\0\0" + zeros))
    text = chunk(b"zTXt", b"a\0\0" + zeros)
    yield "zlib bomb in zTXt", ".png", gray_png(before=text)
    yield "zlib bomb in zTXt", ".png", gray_png(after=text)
    unicode = chunk(b"iTXt", b"a\0\1\0\0\0" + zeros)
    yield "zlib bomb in iTXt", ".png", gray_png(before=unicode)
    yield "zlib bomb in iTXt", ".png", gray_png(after=unicode)
    small = zlib.compress(bytes(1 << 20), 9)
    many = b"".join(chunk(b"zTXt", b"%d\0\0" % number + small) for number in range(80))
    yield "many zTXt below the limit of one", ".png", gray_png(before=many)
    yield "many empty IDAT", ".png", gray_png(before=chunk(b"IDAT") * 20_000)
    yield "many empty chunks", ".png", gray_png(before=chunk(b"ruBb") * 20_000)


def _png_chunks():
    true = zlib.compress(bytes(4 * 5))
    yield "PNG, wrong checksum", ".png", gray_png(before=chunk(b"tEXt", b"a\0b", crc=1))
    yield "PNG, wrong checksum", ".png", gray_png()[:-16] + chunk(b"IDAT", true, crc=7)
    yield "PNG, monstrous chunk", ".png", gray_png(before=chunk(b"tEXt", b"a", length=2**31 - 1))
    yield "PNG, monstrous chunk", ".png", gray_png(before=chunk(b"iCCP", b"a", length=2**32 - 1))
    yield "PNG, unknown chunk", ".png", gray_png(before=chunk(b"QQQQ", b"?" * 100))
    yield "PNG, no chunk name", ".png", gray_png(before=chunk(b"\0\xff~\n", b"?"))
    yield "PNG without IDAT", ".png", gray_png()[:33] + chunk(b"IEND")
    yield "PNG without IHDR", ".png", gray_png()[:8] + gray_png()[33:]
    yield "PNG, IHDR twice", ".png", gray_png(before=gray_png(90000, 1)[8:33])
    yield "PNG, depth that is none", ".png", png(4, 4, true, bits=3)
    yield "PNG, colour that is none", ".png", png(4, 4, true, colour=7)
    yield "PNG, interlace that is none", ".png", gray_png(interlace=9)
    yield "PNG, palette missing", ".png", gray_png(colour=3)
    yield "PNG, palette too short", ".png", gray_png(colour=3, before=chunk(b"PLTE", b"\1\2\3\4"))
    long = chunk(b"PLTE", bytes(3000)) + chunk(b"tRNS", bytes(5000))
    yield "PNG, palette too long", ".png", gray_png(colour=3, before=long)
    yield "PNG, transparency too short", ".png", gray_png(before=chunk(b"tRNS", b"\1"))
    empty = chunk(b"PLTE", bytes(6)) + chunk(b"tRNS")
    yield "PNG, transparency empty", ".png", gray_png(colour=3, before=empty)
    for name in (b"gAMA", b"pHYs", b"cHRM", b"sRGB", b"tRNS", b"acTL", b"fcTL", b"iCCP", b"eXIf"):
        yield "PNG, empty chunk", ".png", gray_png(before=chunk(name))
    raw = chunk(b"tEXt", b"Raw profile type exif\0\nexif\n4\nzzzz\n")
    yield "PNG, EXIF that is no hexadecimal", ".png", gray_png(before=raw)


def _png_animations():
    def control(sequence, width, height, x=0, y=0):
        numbers = (sequence, width, height, x, y, 1, 10, 0, 0)
        return chunk(b"fcTL", struct.pack(">IIIIIHHBB", *numbers))

    def frames(count):
        return chunk(b"acTL", struct.pack(">II", count, 0))

    yield "APNG of 2^31 frames", ".png", gray_png(before=frames(2**31) + control(0, 4, 4))
    yield "APNG of 2^32 frames", ".png", gray_png(before=frames(2**32 - 1) + control(0, 4, 4))
    yield "APNG of no frames", ".png", gray_png(before=frames(0))
    yield "APNG, frame beyond its image", ".png", gray_png(before=frames(2) + control(0, 9, 9))
    shifted = frames(2) + control(0, 4, 4, 2**32 - 4, 0)
    yield "APNG, frame beyond its image", ".png", gray_png(before=shifted)
    small = frames(2) + control(0, 2, 2, 1, 1)
    yield "APNG, frame smaller than its image", ".png", gray_png(before=small)
    yield "APNG, frames out of order", ".png", gray_png(before=frames(2) + control(7, 4, 4))
    data = chunk(b"fdAT", struct.pack(">I", 1) + zlib.compress(bytes(20)))
    yield "APNG that starts with fdAT", ".png", gray_png(before=frames(2) + control(0, 4, 4) + data)
    # Pillow makes room for what is to be disposed of while it opens the file.
    numbers = (0, 40_000, 50_000, 0, 0, 1, 10, 1, 0)
    disposed = frames(2) + chunk(b"fcTL", struct.pack(">IIIIIHHBB", *numbers))
    huge = png(40_000, 50_000, zlib.compress(bytes(100)), before=disposed)
    yield "APNG of 2 gigapixels to be disposed of", ".png", huge
    yield "APNG of no size", ".png", gray_png(before=frames(2) + control(0, 0, 0))


def _gifs():
    comment = b"!\xfe" + (b"\xff" + b"c" * 255) * 4000 + b"\0"
    yield "GIF of 4 gigapixels", ".gif", gif(65535, 65535, b"")
    # Pillow makes room for the whole frame while it opens the file.
    disposed = gif(4, 4, b"!\xf9\x04\x08\0\0\0\0", frame=(0, 0, 65535, 65535))
    yield "GIF of 4 gigapixels to be disposed of", ".gif", disposed
    yield "GIF of no size", ".gif", gif(0, 0, b"")
    yield "GIF, frame beyond its screen", ".gif", gif(4, 4, b"", frame=(65535, 65535, 65535, 65535))
    yield "GIF, frame of no size", ".gif", gif(4, 4, b"", frame=(0, 0, 0, 0))
    yield "GIF, long comment", ".gif", gif(4, 4, comment)
    yield "GIF, many comments", ".gif", gif(4, 4, b"!\xfe\x01c\0" * 20_000)
    yield "GIF, extension without end", ".gif", gif(4, 4, b"!\xf9\x04")
    yield "GIF, unknown extension", ".gif", gif(4, 4, b"!\x7f\x05abcde\0")
    yield "GIF without frame", ".gif", gif(4, 4, b";")
    whole = encode(photo(), "GIF")
    yield (
        "GIF, code size that is none",
        ".gif",
        gif(4, 4, b"").replace(BLACK_4_X_4, b"\x0f" + BLACK_4_X_4[1:]),
    )
    yield "GIF, one block again and again", ".gif", whole[:-1] + whole[800:-1] * 30


def _bmps():
    side = 2**31 - 1
    delta = b"\0\2\xff\xff" * 4
    gray = bytes(value for level in range(256) for value in (level, 0, 255 - level, 0))
    yield "BMP of 4 exapixels", ".bmp", bmp(side, side, b"")
    yield "BMP, lowest height", ".bmp", bmp(4, -(2**31), b"")
    yield "BMP, negative width", ".bmp", bmp(-4, 4, bytes(64))
    yield "BMP of no size", ".bmp", bmp(0, 0, b"")
    yield "BMP, pixels beyond its end", ".bmp", bmp(4, 4, bytes(48), offset=2**32 - 1)
    yield "BMP, depth that is none", ".bmp", bmp(4, 4, bytes(48), bits=65535)
    yield "BMP, 4 billion colours", ".bmp", bmp(4, 4, bytes(48), bits=8, colours=2**32 - 1)
    yield "BMP, compression that is none", ".bmp", bmp(4, 4, bytes(48), compression=9)
    rle = {"bits": 8, "compression": 1, "palette": gray}
    yield "BMP, runs that jump beyond the image", ".bmp", bmp(190_000_000, 1, delta, **rle)
    yield "BMP, runs that jump beyond the image", ".bmp", bmp(2, 2, delta, **rle)
    yield "BMP, runs that end early", ".bmp", bmp(40, 40, b"\x05\x01\0\1", **rle)
    yield "BMP, lines without pixels", ".bmp", bmp(40, 40, b"\0\0" * 500, **rle)
    yield "BMP, one pixel of a line of millions", ".bmp", bmp(90_000_000, 1, b"\1\1\0\0", **rle)
    yield "BMP that holds a PNG", ".bmp", bmp(4, 4, gray_png(), compression=5)


def _webps():
    lossless = encode(photo(), "WEBP", lossless=True)
    lossy = encode(photo(), "WEBP")
    frame = lossy[12:]
    yield "WebP of 2^48 pixels", ".webp", webp((b"VP8X", webp_canvas(1 << 24, 1 << 24)))
    large = (b"VP8X", webp_canvas(1 << 16, (1 << 16) - 1))
    yield "WebP of 4 gigapixels", ".webp", webp(large) + frame
    vast = b"\x2f" + struct.pack("<I", 16382 | 16382 << 14) + bytes(40)
    yield "WebP of 268 megapixels", ".webp", webp((b"VP8L", vast))
    yield "WebP, canvas beyond its frame", ".webp", webp((b"VP8X", webp_canvas(200, 200))) + frame
    animated = (b"VP8X", webp_canvas(48, 40, flags=2))
    control = (b"ANIM", bytes(6))
    yield "WebP, animation without frames", ".webp", webp(animated, control)
    yield (
        "WebP, frame beyond its canvas",
        ".webp",
        webp(animated, control, (b"ANMF", b"\xff" * 16 + lossless[12:])),
    )
    yield "WebP, length of its file a lie", ".webp", lossy[:4] + b"\xff\xff\xff\xff" + lossy[8:]
    yield "WebP, length of a chunk a lie", ".webp", lossy[:16] + b"\xff\xff\xff\x7f" + lossy[20:]
    yield "WebP, unknown chunk first", ".webp", webp((b"JUNK", bytes(99))) + frame


def _jpeg2000s():
    data = encode(photo(), "JPEG2000")
    size, coding = data.index(b"\xff\x51"), data.index(b"\xff\x52")
    box, part = data.index(b"ihdr") + 4, data.index(b"\xff\x90")

    def changed(at, value):
        return data[:at] + value + data[at + len(value) :]

    def numbers(*values):
        return struct.pack(f">{len(values)}I", *values)

    vast = numbers(2**31, 2**31)
    both = changed(box, vast)
    both = both[: size + 6] + vast + both[size + 14 :]
    yield "JPEG 2000 of 4 exapixels", ".jp2", both
    yield "JPEG 2000 of 4 exapixels", ".j2k", both[both.index(b"\xff\x4f\xff\x51") :]
    yield "JPEG 2000, size of the codestream a lie", ".jp2", changed(size + 6, vast)
    yield "JPEG 2000, size of the box a lie", ".jp2", changed(box, numbers(9000, 9000))
    yield "JPEG 2000 of no size", ".jp2", changed(size + 6, bytes(8))
    yield "JPEG 2000, many tiles", ".jp2", changed(size + 22, numbers(1, 1) + bytes(8))
    yield "JPEG 2000, tiles of no size", ".jp2", changed(size + 22, bytes(8))
    yield "JPEG 2000 of 16,384 channels", ".jp2", changed(size + 38, b"\x40\0")
    yield "JPEG 2000 of 65,535 layers", ".jp2", changed(coding + 6, b"\xff\xff")
    yield "JPEG 2000 of 255 levels", ".jp2", changed(coding + 9, b"\xff")
    yield "JPEG 2000, blocks of 4 x 4", ".jp2", encode(photo(), "JPEG2000", codeblock_size=(4, 4))
    inside = data[: part + 12] + data[coding : coding + 14] + data[part + 12 :]
    inside = bytearray(inside)
    inside[part + 12 + 10 : part + 12 + 12] = bytes(2)
    yield "JPEG 2000, blocks of 4 x 4 in a tile", ".jp2", bytes(inside)
    for length in (1, 13, 2**31, 2**32 - 1):
        yield "JPEG 2000, length of a tile a lie", ".jp2", changed(part + 6, numbers(length))
    yield "JPEG 2000, length of a marker a lie", ".jp2", changed(size + 2, b"\xff\xff")
    yield "JPEG 2000, length of a marker a lie", ".jp2", changed(size + 2, b"\0\0")
    yield "JPEG 2000, length of a box a lie", ".jp2", changed(12, numbers(2**32 - 1))
    yield "JPEG 2000, boxes without end", ".jp2", data[:32] + numbers(8, 0) * 30_000
    yield "JPEG 2000 without codestream", ".jp2", data[: data.index(b"jp2c") - 4]


def _netpbms():
    for number in range(1, 7):
        white = b"" if number in (1, 4) else b" 255"
        yield "Netpbm of 4 exapixels", ".pnm", b"P%d 2147483647 2147483647" % number + white + b"\n"
        yield "Netpbm of no size", ".pnm", b"P%d 0 0" % number + white + b"\n"
        yield "Netpbm cut short", ".pnm", b"P%d 90 90" % number + white + b"\n1 1 1 1"
        yield "Netpbm without end of its head", ".pnm", b"P%d #" % number + b"x" * 3_000_000
    yield "Netpbm of spaces", ".pgm", b"P5 " + b" " * 3_000_000 + b"9 9 255 "
    yield "Netpbm of long numbers", ".pgm", b"P2 9 9 255 " + b"1" * 3_000_000
    yield "Netpbm, white of 0", ".pgm", b"P5 9 9 0 " + bytes(81)
    yield "Netpbm, white above 16 bits", ".pgm", b"P5 9 9 70000 " + bytes(200)
    yield "Netpbm, numbers above white", ".pgm", b"P5 9 9 100 " + b"\xff" * 81
    yield "Netpbm of floats", ".pfm", b"Pf\n9 9\n-1.0\n" + struct.pack("<81f", *range(81))
    yield "Netpbm of floats that are none", ".pfm", b"Pf\n9 9\n-1.0\n" + b"\xff" * 324
    yield "Netpbm, a scale of nan", ".pfm", b"Pf\n9 9\nnan\n" + bytes(324)
    yield "Netpbm of text, 4 megapixels", ".ppm", b"P3 2000 2000 255\n" + b"7 " * 500_000
    yield "Netpbm of inks", ".ppm", b"P0CMYK 9 9 255\n" + bytes(324)
    yield "text that begins like Netpbm", ".ppm", b"P1 is the first of our products.\n" * 99


def _jpegs():
    data = encode(photo(), "JPEG")
    size = data.index(b"\xff\xc0") + 5
    for height, width in ((65535, 65535), (65500, 65500), (0, 48), (40, 0), (65535, 1)):
        yield (
            "JPEG, size a lie",
            ".jpg",
            (data[:size] + struct.pack(">HH", height, width) + data[size + 4 :]),
        )
    yield "JPEG, no Huffman tables", ".jpg", data.replace(b"\xff\xc4", b"\xff\xfe")
    yield "JPEG, no quantization", ".jpg", data.replace(b"\xff\xdb", b"\xff\xfe")
    yield "JPEG, length of a segment a lie", ".jpg", with_segments(data, segment(0xE1, b"", 65535))
    yield "JPEG, length of a segment a lie", ".jpg", with_segments(data, segment(0xE1, b"", 0))
    yield "JPEG, thousands of segments", ".jpg", with_segments(data, segment(0xEB, b"") * 20_000)
    yield "JPEG, thousands of bytes between segments", ".jpg", data[:2] + b"\xff" * 9999 + data[2:]
    progressive = encode(photo(), "JPEG", progressive=True)
    scan = progressive.rindex(b"\xff\xda")
    yield "JPEG, thousands of scans", ".jpg", progressive[:-2] + progressive[scan:-2] * 3000
    yield "JPEG, thousands of scans", ".jpg", progressive[:-2] + progressive[scan:-2] * 9 + b"\xff"
    yield "JPEG without scan", ".jpg", data[: data.index(b"\xff\xda")] + b"\xff\xd9"
    arithmetic = data.replace(b"\xff\xc0", b"\xff\xc9")
    yield "JPEG, arithmetic coding claimed", ".jpg", arithmetic
    yield "JPEG, lossless coding claimed", ".jpg", data.replace(b"\xff\xc0", b"\xff\xc3")
    yield (
        "JPEG, 12 bits claimed",
        ".jpg",
        data.replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c"),
    )
    entries = [(0xB000, UNDEFINED, 4, 0x30303130), (0xB001, LONG, 1, 2**32 - 1)]
    index = exif([*entries, (0xB002, UNDEFINED, 32, bytes(32))])[6:]
    yield "MPO of 2^32 images", ".jpg", with_segments(data, segment(0xE2, b"MPF\0" + index))
    # 66 KB that ask for 9 million fractions.
    shared = exif([(40000 + tag, RATIONAL, 4000, 8) for tag in range(2500)])[6:]
    index = b"MPF\0" + shared + bytes(32008)
    yield "MPO, tags that share their bytes", ".jpg", with_segments(data, segment(0xE2, index))
    photoshop = b"Photoshop 3.0\08BIM\3\xed\0\0\xff\xff\xff\xff"
    yield "JPEG, Photoshop block a lie", ".jpg", with_segments(data, segment(0xED, photoshop))


def _tiff_directories():
    pixels = bytes(range(16))
    small = gray_tiff(4, 4, pixels)
    start = 8 + len(pixels)
    yield "TIFF, directory that follows itself", ".tif", gray_tiff(4, 4, pixels, following=start)
    yield (
        "TIFF, next directory beyond its end",
        ".tif",
        gray_tiff(4, 4, pixels, following=2**32 - 1),
    )
    yield (
        "TIFF, first directory beyond its end",
        ".tif",
        small[:4] + b"\xff\xff\xff\xff" + small[8:],
    )
    yield "TIFF, directory in its own head", ".tif", small[:4] + b"\0\0\0\0" + small[8:]
    yield "TIFF, 65535 tags claimed", ".tif", small[:start] + b"\xff\xff" + small[start + 2 :]
    yield "TIFF, no tags", ".tif", tiff([])
    inner = [(34665, LONG, 1, start), (34853, LONG, 1, start), (40965, LONG, 1, start)]
    yield "TIFF, EXIF directory that is its own", ".tif", gray_tiff(4, 4, pixels, extra=inner)
    far = [(34665, LONG, 1, 2**32 - 1)]
    yield "TIFF, EXIF directory beyond its end", ".tif", gray_tiff(4, 4, pixels, extra=far)
    # Each tag points to the same bytes: 90 KB that ask for 180 MB.
    shared = [(40000 + tag, UNDEFINED, 60_000, 8) for tag in range(3000)]
    strip = bytes(60_000)
    yield "TIFF, tags that share their bytes", ".tif", gray_tiff(4, 4, strip, extra=shared)
    beyond = [(40000 + tag, UNDEFINED, 2**32 - 1, 8) for tag in range(40)]
    yield "TIFF, tags of 4 gigabytes", ".tif", gray_tiff(4, 4, pixels, extra=beyond)
    odd = [(40000 + kind, kind, 3, 8) for kind in (0, 6, 8, 9, 10, 12, 13, 16, 99, 999)]
    yield "TIFF, tags of odd types", ".tif", gray_tiff(4, 4, pixels, extra=odd)
    fractions = struct.pack("<II", 3, 7) * 300_000
    many = [(282, RATIONAL, 300_000, fractions)]
    yield "TIFF, 300,000 pixels an inch", ".tif", gray_tiff(4, 4, pixels, extra=many)
    directory = tags([(40000 + tag, RATIONAL, 60_000, 8) for tag in range(3)])
    inner = [(34665, LONG, 1, 8 + 480_000)]
    whole = gray_tiff(4, 4, fractions[:480_000] + directory, extra=inner)
    yield "TIFF, EXIF of many fractions", ".tif", whole
    nothing = [(282, RATIONAL, 1, bytes(8)), (283, RATIONAL, 1, bytes(8)), (296, SHORT, 1, 2)]
    yield "TIFF, 0 / 0 pixels an inch", ".tif", gray_tiff(4, 4, pixels, extra=nothing)
    wide = struct.pack("<4sHHQQ", b"II+\0", 8, 0, 16, 2**64 - 1)
    yield "BigTIFF of 2^64 tags", ".tif", wide
    entry = struct.pack("<HHQQ", 256, 4, 2**62, 16)
    yield "BigTIFF, tag of 2^64 bytes", ".tif", wide[:16] + struct.pack("<Q", 1) + entry + bytes(8)


def _tiff_strips():
    pixels = bytes(range(16))

    def changed(**changes):
        return gray_tiff(4, 4, pixels, **changes)

    yield "TIFF of 10 gigapixels", ".tif", gray_tiff(100_000, 100_000, pixels)
    yield "TIFF of 2^64 pixels", ".tif", gray_tiff(2**32 - 1, 2**32 - 1, pixels)
    yield "TIFF of no size", ".tif", gray_tiff(0, 0, pixels)
    for name in ("WIDTH", "BITS", "COMPRESSION", "PHOTOMETRIC", "STRIP_OFFSETS", "STRIP_BYTES"):
        yield "TIFF, tag missing", ".tif", changed(**{name: None})
    yield "TIFF, size that is text", ".tif", changed(WIDTH=(ASCII, 4, 0x34343434))
    yield "TIFF, size of two numbers", ".tif", changed(WIDTH=(SHORT, 2, 0x00040004))
    yield "TIFF, size that is no whole number", ".tif", changed(WIDTH=(FLOAT, 1, 0x40800000))
    yield "TIFF, strip beyond its end", ".tif", changed(STRIP_OFFSETS=2**32 - 1)
    yield "TIFF, strip of 4 gigabytes", ".tif", changed(COMPRESSION=5, STRIP_BYTES=2**32 - 1)
    yield "TIFF, no rows in a strip", ".tif", changed(ROWS_PER_STRIP=0)
    yield "TIFF, rows of a strip without end", ".tif", changed(ROWS_PER_STRIP=2**32 - 1)
    many = (BYTE, 300_000, bytes(300_000))
    yield "TIFF, more strips than rows", ".tif", changed(STRIP_OFFSETS=many, ROWS_PER_STRIP=1)
    yield "TIFF, strips that are text", ".tif", changed(STRIP_OFFSETS=(ASCII, 4, 8))
    yield "TIFF of 2^32 samples", ".tif", changed(SAMPLES=2**32 - 1)
    yield "TIFF of 300 bits", ".tif", changed(BITS=300)
    for compression in (0, 3, 5, 7, 8, 32773, 34712, 50000, 65535):
        yield "TIFF, compression a lie", ".tif", changed(COMPRESSION=compression)
    tiles = [(322, LONG, 1, 2**31), (323, LONG, 1, 2**31), (324, LONG, 1, 8), (325, LONG, 1, 16)]
    without = {"STRIP_OFFSETS": None, "STRIP_BYTES": None, "ROWS_PER_STRIP": None}
    yield "TIFF, tile of 2^62 pixels", ".tif", changed(**without, extra=tiles)
    lzw = {**without, "COMPRESSION": 5}
    yield "TIFF, tile of 2^62 pixels", ".tif", changed(**lzw, extra=tiles)
    none = [(322, LONG, 1, 0), (323, LONG, 1, 0), (324, LONG, 1, 8), (325, LONG, 1, 16)]
    yield "TIFF, tiles of no size", ".tif", changed(**without, extra=none)
    yield "TIFF, tiles of no size", ".tif", changed(**lzw, extra=none)
    zeros = zlib.compress(bytes(BOMB), 9)
    bomb = gray_tiff(4, 4, zeros, COMPRESSION=8)
    yield "zlib bomb in a strip", ".tif", bomb
    vast = gray_tiff(25_000, 20_000, zeros, COMPRESSION=8)
    yield "500 megapixels", ".tif", vast


def _tiff_numbers():
    for value in (np.nan, np.inf, -np.inf, 1e38, -1e38):
        numbers = np.full((6, 8), value, np.float32)
        yield "floating-point TIFF", ".tif", encode(Image.fromarray(numbers), "TIFF")
    mixed = np.array([[np.nan, 0.5, np.inf, -1]], np.float32)
    yield "floating-point TIFF", ".tif", encode(Image.fromarray(mixed), "TIFF")
    double = np.full((4, 4), np.nan, np.float64).tobytes()
    yield (
        "floating-point TIFF of 64 bits",
        ".tif",
        gray_tiff(4, 4, double, BITS=64, extra=[(339, SHORT, 1, 3)]),
    )
    for value in (-(2**31), 2**31 - 1):
        numbers = np.full((4, 4), value, np.int32)
        yield "32-bit TIFF", ".tif", encode(Image.fromarray(numbers), "TIFF")
    signed = np.full((4, 4), -300, np.int16).tobytes()
    yield "signed 16-bit TIFF", ".tif", gray_tiff(4, 4, signed, BITS=16, extra=[(339, SHORT, 1, 2)])


def _exif_blocks():
    data, image = encode(photo(), "JPEG"), photo()

    def turned(*entry):
        return with_segments(data, segment(0xE1, exif([(ORIENTATION, *entry)])))

    for value in (0, 9, 65535):
        yield "EXIF, orientation that is none", ".jpg", turned(SHORT, 1, value)
    yield "EXIF, orientation that is text", ".jpg", turned(ASCII, 4, 0x36363636)
    yield "EXIF, orientation of 4 billion numbers", ".jpg", turned(SHORT, 2**32 - 1, 6)
    yield "EXIF, orientation beyond its end", ".jpg", turned(SHORT, 9, 2**32 - 1)
    yield "EXIF, orientation 1 / 0", ".jpg", turned(RATIONAL, 1, struct.pack("<II", 1, 0))
    loop = exif([(34665, LONG, 1, 8), (34853, LONG, 1, 8)], following=8)
    shared = exif([(40000 + tag, UNDEFINED, 30_000, 8) for tag in range(2500)]) + bytes(1000)
    for kind, block in (("EXIF, loops", loop), ("EXIF, tags that share their bytes", shared)):
        yield kind, ".jpg", with_segments(data, segment(0xE1, block))
        for suffix in ("PNG", "WEBP"):
            yield kind, SUFFIXES[suffix], encode(image, suffix, exif=block)
    # 40 segments of EXIF, which Pillow strings together.
    parts = [segment(0xE1, b"Exif\0\0" + bytes(60_000)) for _ in range(40)]
    whole = with_segments(data, segment(0xE1, shared), *parts)
    yield "EXIF in many segments", ".jpg", whole
    # By its size the block may be read; its tags ask for 4 GB.
    large = exif([(2000 + tag, UNDEFINED, 2_000_000, 8) for tag in range(2000)]) + bytes(2_000_000)
    yield "EXIF of megabytes", ".png", encode(image, "PNG", exif=large)
    yield "EXIF of megabytes", ".webp", encode(image, "WEBP", exif=large)
    for garbage in (b"Exif\0\0", b"Exif\0\0MM\0\x2a\xff\xff\xff\xff", b"Exif\0\0" + b"\xff" * 999):
        yield "EXIF, garbage", ".jpg", with_segments(data, segment(0xE1, garbage))
    packet = b'<x:xmpmeta tiff:Orientation="6" tiff:Orientation="8"/>' + b" " * 9000
    yield (
        "XMP",
        ".jpg",
        with_segments(data, segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet)),
    )
