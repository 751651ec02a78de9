"""Image files put together byte by byte, so that they can say what no encoder would write."""

import struct
import zlib

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, FLOAT = 1, 2, 3, 4, 5, 7, 11
WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
STRIP_OFFSETS, ORIENTATION, SAMPLES, ROWS_PER_STRIP, STRIP_BYTES = 273, 274, 277, 278, 279
# LZW of 16 zeros, as GIF packs it: size of the codes, a block, the end.
BLACK_4_X_4 = b"\x08\x09\x00\x01\x08\x1c\x48\xb0\x20\x80\x80\x00"


def chunk(name, data=b"", length=None, crc=None):
    """A PNG chunk; its length and checksum are true unless they are given."""
    length = len(data) if length is None else length
    crc = zlib.crc32(name + data) if crc is None else crc
    return struct.pack(">I", length) + name + data + struct.pack(">I", crc)


def png(width, height, pixels, *, bits=8, colour=0, interlace=0, before=b"", after=b""):
    """A PNG whose one IDAT holds the bytes given, with chunks before and after it."""
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlace)
    body = chunk(b"IHDR", head) + before + chunk(b"IDAT", pixels) + after + chunk(b"IEND")
    return b"\x89PNG\r\n\x1a\n" + body


def gray_png(width=4, height=4, **options):
    """A small valid PNG, gray, to hang chunks on."""
    return png(width, height, zlib.compress(bytes(height * (width + 1))), **options)


def gif(width, height, blocks, *, frame=None):
    """A GIF of two colours with the blocks given before its one frame, black if it is 4 x 4."""
    x, y, frame_width, frame_height = frame or (0, 0, width, height)
    screen = struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    descriptor = b"," + struct.pack("<HHHHB", x, y, frame_width, frame_height, 0)
    return b"GIF89a" + screen + blocks + descriptor + BLACK_4_X_4 + b";"


def bmp(width, height, pixels, *, bits=24, compression=0, colours=0, palette=b"", offset=None):
    """A BMP with a header of 40 bytes."""
    offset = 54 + len(palette) if offset is None else offset
    header = struct.pack(
        "<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(pixels), 0, 0, colours, 0
    )
    size = 54 + len(palette) + len(pixels)
    return b"BM" + struct.pack("<IHHI", size, 0, 0, offset) + header + palette + pixels


def webp(*chunks):
    """A RIFF file of WebP chunks, each a name and its data."""
    body = b"".join(
        name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) & 1)
        for name, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def webp_canvas(width, height, flags=0):
    """The data of a VP8X chunk, the size of the canvas."""
    sides = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    return bytes([flags, 0, 0, 0]) + sides


def segment(marker, data, length=None):
    """A JPEG segment; its length is true unless it is given."""
    length = len(data) + 2 if length is None else length
    return bytes([0xFF, marker]) + struct.pack(">H", length) + data


def with_segments(jpeg, *segments):
    """A JPEG with segments put in behind its first two bytes."""
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def tags(entries, *, following=0, start=8):
    """A directory of TIFF tags, little-endian.

    Args:
        entries: (tag, type, count, value) each, where a value is an int (written into the entry)
            or bytes (written behind the directory, and pointed to).
        following: Offset of the next directory.
        start: Where in the file the directory will stand.
    """
    sizes = 2 + 12 * len(entries) + 4
    directory, behind = struct.pack("<H", len(entries)), b""
    for tag, kind, count, value in entries:
        if isinstance(value, bytes):
            value, behind = start + sizes + len(behind), behind + value
        directory += struct.pack("<HHII", tag, kind, count, value)
    return directory + struct.pack("<I", following) + behind


def tiff(entries, pixels=b"", *, following=0):
    """A TIFF of one directory, with the pixels behind the head of eight bytes."""
    start = 8 + len(pixels)
    directory = tags(entries, following=following, start=start)
    return b"II*\0" + struct.pack("<I", start) + pixels + directory


def gray_tiff(width, height, pixels, **changes):
    """An uncompressed gray TIFF of one strip, with other values for the tags named.

    Args:
        width: Pixels in a row.
        height: Rows.
        pixels: The strip.
        changes: By name of the tag as above: None leaves it out, an int is its value as LONG,
            a tuple is (type, count, value).
    """
    entries = {
        "WIDTH": (LONG, 1, width),
        "LENGTH": (LONG, 1, height),
        "BITS": (SHORT, 1, 8),
        "COMPRESSION": (SHORT, 1, 1),
        "PHOTOMETRIC": (SHORT, 1, 1),
        "STRIP_OFFSETS": (LONG, 1, 8),
        "SAMPLES": (SHORT, 1, 1),
        "ROWS_PER_STRIP": (LONG, 1, height),
        "STRIP_BYTES": (LONG, 1, len(pixels)),
    }
    following = changes.pop("following", 0)
    extra = changes.pop("extra", ())
    for name, value in changes.items():
        entries[name] = (LONG, 1, value) if isinstance(value, int) else value
    named = [(globals()[name], *entry) for name, entry in entries.items() if entry is not None]
    return tiff([*named, *extra], pixels, following=following)


def exif(entries, **options):
    """An EXIF block as JPEG and WebP carry it."""
    return b"Exif\0\0II*\0\x08\0\0\0" + tags(entries, **options)
