"""Leaves out of image files what decoding does not need, and what could harm on the way.

Metadata is no reason to refuse a photo: a text of megabytes, a wrong checksum beside the pixels, or
a private tag with a million numbers is left out before Pillow sees it.
"""

from __future__ import annotations

import re
import struct
import zlib

from PIL import ExifTags, PngImagePlugin

from pipeline.failures import BadImage
from pipeline.images.netpbm import NETPBM, with_usual_white

PNG = b"\x89PNG\r\n\x1a\n"
# The standard allows EXIF of 64 KiB, which PNG files may hold as hexadecimal text.
MAX_EXIF = 140_000
# The largest profiles of printers have 2 to 3 MB.
MAX_PROFILE = 4 << 20
PngImagePlugin.MAX_TEXT_CHUNK = MAX_PROFILE
# Enough for a strip for each row, for tiles of 32 x 32 pixels, and for a palette of 16 bits.
MAX_TIFF_NUMBERS = 1 << 18
# A PNG of more chunks than this is refused later, as it asks for too many reads.
MAX_CHUNKS = 1 << 19

# Text chunks by which some programs store EXIF or (not compressed) XMP: the orientation.
_USEFUL_TEXTS = (b"Raw profile type exif\0", b"XML:com.adobe.xmp\0\0")
_ANIMATION = (b"acTL", b"fcTL", b"fdAT")
_EXIF = re.compile(rb"(\xff\xe1..Exif)\0\0", re.DOTALL)
_MPF = re.compile(rb"(\xff\xe2..MPF)\0", re.DOTALL)
# Bytes, text and untyped data. Pillow makes Python numbers of all other types.
_TIFF_BYTES = (1, 2, 7)
# Tags without which the pixels cannot be found, or have no colours.
_TIFF_PIXELS = (
    ExifTags.Base.BitsPerSample,
    ExifTags.Base.StripOffsets,
    ExifTags.Base.StripByteCounts,
    ExifTags.Base.TileOffsets,
    ExifTags.Base.TileByteCounts,
    ExifTags.Base.ColorMap,
)


def lean(data: bytes) -> bytes:
    """The same image with less around it.

    Args:
        data: A file of any format.

    Raises:
        BadImage: A TIFF has more strips or tiles than any image has, or a Netpbm file is none or
            has too many pixels as text.
    """
    if data.startswith(b"\xff\xd8"):
        return _lean_jpeg(data)
    if data.startswith(PNG):
        return _lean_png(data)
    if data.startswith((b"II", b"MM")):
        return _lean_tiff(data)
    if data.startswith(NETPBM):
        return with_usual_white(data)
    return data


def _lean_jpeg(jpeg: bytes) -> bytes:
    """Hides EXIF blocks after the first, and the index of further images.

    Pillow would read them in full. Their tags may share bytes, so that kilobytes become gigabytes.
    The patterns never occur within a scan.
    """
    jpeg = _MPF.sub(b"\\1\x01", jpeg)
    first = _EXIF.search(jpeg)
    if first is None or _EXIF.search(jpeg, first.end()) is None:
        return jpeg
    return jpeg[: first.end()] + _EXIF.sub(b"\\1\x01\x01", jpeg[first.end() :])


def _lean_png(png: bytes) -> bytes:
    """Leaves out ancillary chunks, but transparency, profile and orientation; and the animation.

    Pillow allocates the frames of an animation before their size is checked.
    """
    kept, start, position = [], 0, len(PNG)
    for _ in range(MAX_CHUNKS):
        length = int.from_bytes(png[position : position + 4], "big")
        end = position + 12 + length
        if not _is_needed(png, position, length):
            kept.append(png[start:position])
            start = end
        position = end
        if position >= len(png):
            break
    return b"".join([*kept, png[start:]]) if kept else png


def _is_needed(png: bytes, position: int, length: int) -> bool:
    name = png[position + 4 : position + 8]
    if name in _ANIMATION:
        return False
    if not name[:1].islower() or name == b"tRNS":
        return True
    limit = {b"iCCP": MAX_PROFILE, b"eXIf": MAX_EXIF}.get(name, -1)
    if name in (b"tEXt", b"zTXt", b"iTXt"):
        useful = png[position + 8 : position + 40].startswith(_USEFUL_TEXTS)
        limit = MAX_EXIF if useful else -1
    if length > limit:
        return False
    end = position + 8 + length
    if name in (b"iCCP", b"zTXt") and not _inflates(png[position + 8 : end]):
        return False
    return zlib.crc32(png[position + 4 : end]) == int.from_bytes(png[end : end + 4], "big")


def _inflates(chunk: bytes) -> bool:
    """Whether Pillow unpacks a chunk: a name, a zero for how it is packed, and the rest."""
    packed = chunk.partition(b"\0")[2]
    unpacker = zlib.decompressobj()
    try:
        unpacker.decompress(packed[1:], PngImagePlugin.MAX_TEXT_CHUNK)
    except zlib.error:
        return False
    return packed.startswith(b"\0") and not unpacker.unconsumed_tail


def _lean_tiff(tiff: bytes) -> bytes:
    """Makes one byte of each tag with more numbers than any image needs.

    Raises:
        BadImage: The pixels would need the tag.
    """
    order = "<" if tiff.startswith(b"II") else ">"
    wide = tiff[2:3] == b"+"  # BigTIFF. Pillow reads no big-endian one.
    offset, number, entry = ("8xQ", "Q", "HHQ8x") if wide else ("4xI", "H", "HHI4x")
    try:
        (start,) = struct.unpack_from(order + offset, tiff)
        (tags,) = struct.unpack_from(order + number, tiff, start)
    except struct.error:
        return tiff  # Pillow will say what is wrong with it.
    start += struct.calcsize(number)
    size = struct.calcsize("<" + entry)
    end = start + min(tags, (len(tiff) - start) // size) * size
    monstrous = []
    for index, (tag, kind, count) in enumerate(struct.iter_unpack(order + entry, tiff[start:end])):
        if count <= MAX_TIFF_NUMBERS or (kind in _TIFF_BYTES and tag not in _TIFF_PIXELS):
            continue
        if tag in _TIFF_PIXELS:
            raise BadImage(
                "bomb",
                f"a TIFF of {count} numbers in tag {tag}; at most {MAX_TIFF_NUMBERS} are read",
            )
        monstrous.append((start + index * size, tag))
    if not monstrous:
        return tiff
    changed = bytearray(tiff)
    for at, tag in monstrous:
        struct.pack_into(order + entry, changed, at, tag, _TIFF_BYTES[0], 1)
    return bytes(changed)
