"""Opens images that nobody vouches for, with bounds on memory and time.

A file of a few kilobytes can claim terabytes of pixels, tags that share their bytes, millions of
strips, or thousands of passes over the picture. No honest image does what is refused here.
"""

from __future__ import annotations

import contextlib
import io
import re
import struct
import warnings
from collections.abc import Iterator

from PIL import ExifTags, Image, UnidentifiedImageError

from pipeline.failures import BadImage
from pipeline.image_formats import FORMATS
from pipeline.images.memory import room_for

MAX_PIXELS = 200_000_000
# Peak memory of decoding in bytes, the file itself apart.
MAX_MEMORY = 1_610_612_736
# Measured peaks. WebP holds three more copies, TIFF a strip as large as the image and a turned
# copy. JPEG depends on the image.
BYTES_A_PIXEL = {"PNG": 4, "BMP": 4, "GIF": 4, "TIFF": 12, "WEBP": 16}
# Encoders write about 10. A scan of 95 bytes costs a pass over the whole picture.
MAX_JPEG_SCANS = 100
# Enough for a strip for each row, for tiles of 32 x 32 pixels, and for a palette of 16 bits.
MAX_TIFF_NUMBERS = 1 << 18
# Pillow decodes runs in Python, and a run of four bytes can skip 255 rows.
MAX_RUN_LENGTH_PIXELS = 1 << 24
MAX_RUN_LENGTH_WIDTH = 1 << 16
# The standard allows 64 KiB, which PNG files may hold as hexadecimal text.
MAX_EXIF = 140_000
# Reading a comment takes time that grows with the square of its length.
MAX_GIF_HEAD = 1 << 20
MAX_READS = 1 << 20

_PNG = b"\x89PNG\r\n\x1a\n"
_ANIMATION = (b"acTL", b"fcTL", b"fdAT")

# Start of a segment. Within a scan, FF is followed by 0 or by a marker without a segment.
_MARKER = re.compile(rb"\xff([^\0\xff\x01\xd0-\xd8])", re.DOTALL)

_EXIF = re.compile(rb"(\xff\xe1..Exif)\0\0", re.DOTALL)
_MPF = re.compile(rb"(\xff\xe2..MPF)\0", re.DOTALL)
# Bytes, text and untyped data. Pillow makes Python numbers of all other types.
_TIFF_BYTES = (1, 2, 7)

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Pillow allocates a GIF while it opens it. It warns above this limit, and raises at twice as much.
Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2
# Pillow warns of broken metadata in ever new words, and Python would keep every one of them.
warnings.filterwarnings("ignore", module=r"PIL\.")


@contextlib.contextmanager
def opened(
    data: bytes, least_side: int | None = None
) -> Iterator[tuple[Image.Image, tuple[int, int], Image.Transpose | None]]:
    """Decodes the first frame. A process holds one large image at a time.

    Args:
        data: An encoded image of one of ``FORMATS``.
        least_side: A JPEG may be decoded at 1/2, 1/4 or 1/8 of its size, as long as neither side
            falls below this many pixels; None for all of its pixels.

    Yields:
        The image as it is stored, (width, height) of the upright image at its full size, and how
        to turn the stored one upright, or None.

    Raises:
        BadImage: The data is no image of these formats, is truncated, broken or too large, or
            costs more to decode than any image does.
    """
    if not data:
        raise BadImage("empty", "no bytes")
    with bad_image():
        image, size, scaled = _open(data, least_side)
    with room_for(image.width * image.height):
        with bad_image():
            image.load()
        if not scaled:
            size = image.size  # TIFF is upright only now.
        orientation = _orientation(image)
        yield image, size[::-1] if orientation >= 5 else size, TURNS.get(orientation)


@contextlib.contextmanager
def bad_image() -> Iterator[None]:
    """Turns every error of Pillow's decoders into a ``BadImage``."""
    try:
        yield
    except BadImage:
        raise
    except UnidentifiedImageError:
        raise BadImage("not_an_image", f"not a {', '.join(FORMATS)} image") from None
    except Image.DecompressionBombError as error:
        raise BadImage("too_large", str(error)) from error
    except Exception as error:
        raise BadImage("broken", f"{type(error).__name__}: {error}") from error


def _open(data: bytes, least_side: int | None) -> tuple[Image.Image, tuple[int, int], bool]:
    """The image, not yet decoded; its full size; whether it will be decoded at reduced scale."""
    if data.startswith(b"\xff\xd8"):
        data = _plain_jpeg(data)
    if data.startswith(_PNG) and b"acTL" in data:
        data = _still_png(data)
    if data.startswith((b"II", b"MM")):
        _check_numbers(data)
    file = _Bounded(data)
    image = Image.open(file, formats=FORMATS)
    file.bytes_left = _bytes_to_read(data)
    if image.format == "TIFF":
        # Keeps Pillow from making Python numbers of all that the EXIF directories hold.
        image.is_animated = True
    size = image.size
    scaled = least_side is not None and image.draft(None, (least_side, least_side)) is not None
    _check_cost(image, size, data)
    return image, size, scaled


class _Bounded(io.BytesIO):
    """A file with a limit on the number of reads and on the bytes read."""

    def __init__(self, data: bytes):
        super().__init__(data)
        self.reads_left = MAX_READS
        self.bytes_left = MAX_GIF_HEAD if data.startswith(b"GIF") else _bytes_to_read(data)

    def read(self, size: int | None = -1) -> bytes:
        read = super().read(size)
        self.reads_left -= 1
        self.bytes_left -= len(read)
        if self.reads_left < 0 or self.bytes_left < 0:
            raise BadImage("bomb", "the file asks to be read again and again")
        return read


def _bytes_to_read(data: bytes) -> int:
    """Three times the file: tags are read twice, pixels once. A bomb reads shared bytes again."""
    return 3 * len(data) + (1 << 20)


def _check_cost(image: Image.Image, size: tuple[int, int], data: bytes) -> None:
    """Refuses what would take too much memory or time. ``size`` is the full size."""
    pixels, decoded = size[0] * size[1], image.width * image.height
    if pixels > MAX_PIXELS:
        raise BadImage(
            "too_large", f"{size[0]} x {size[1]} pixels; at most {MAX_PIXELS} are decoded"
        )
    if image.format in BYTES_A_PIXEL:
        memory = BYTES_A_PIXEL[image.format] * decoded
    else:
        # JPEG and MPO: a progressive image is held as coefficients of 16 bits at its full size.
        memory = 4 * decoded + 2 * len(image.getbands()) * pixels
    if memory > MAX_MEMORY:
        raise BadImage(
            "too_large",
            f"{image.format} of {size[0]} x {size[1]} pixels takes {memory} bytes to decode; "
            f"at most {MAX_MEMORY} are used",
        )
    if image.format in ("JPEG", "MPO") and _scans(data) > MAX_JPEG_SCANS:
        raise BadImage("bomb", f"a JPEG of more than {MAX_JPEG_SCANS} scans")
    if any(tile[0] == "bmp_rle" for tile in image.tile) and (
        pixels > MAX_RUN_LENGTH_PIXELS or image.width > MAX_RUN_LENGTH_WIDTH
    ):
        raise BadImage(
            "too_large",
            f"a run-length-encoded BMP of {size[0]} x {size[1]} pixels; at most "
            f"{MAX_RUN_LENGTH_PIXELS} in rows of {MAX_RUN_LENGTH_WIDTH} are decoded",
        )


def _scans(jpeg: bytes) -> int:
    """Number of scans up to the end of a JPEG's first image."""
    position, scans = 2, 0
    while marker := _MARKER.search(jpeg, position):
        if marker[1] == b"\xd9":
            break
        scans += marker[1] == b"\xda"
        # The segment's length counts its own two bytes.
        position = marker.end() + int.from_bytes(jpeg[marker.end() : marker.end() + 2], "big")
    return scans


def _plain_jpeg(jpeg: bytes) -> bytes:
    """Hides EXIF blocks after the first, and the index of further images, from Pillow.

    Pillow would read them in full. Their tags may share bytes, so that kilobytes become gigabytes.
    The patterns never occur within a scan.
    """
    jpeg = _MPF.sub(b"\\1\x01", jpeg)
    first = _EXIF.search(jpeg)
    if first is None or _EXIF.search(jpeg, first.end()) is None:
        return jpeg
    return jpeg[: first.end()] + _EXIF.sub(b"\\1\x01\x01", jpeg[first.end() :])


def _still_png(png: bytes) -> bytes:
    """Leaves out the animation: Pillow allocates its frames before their size is checked."""
    kept, start, position = [], 0, len(_PNG)
    for _ in range(MAX_READS // 2):  # Pillow reads each chunk at least twice.
        end = position + 12 + int.from_bytes(png[position : position + 4], "big")
        if png[position + 4 : position + 8] in _ANIMATION:
            kept.append(png[start:position])
            start = end
        position = end
        if position >= len(png):
            break
    return b"".join([*kept, png[start:]])


def _check_numbers(tiff: bytes) -> None:
    """Refuses a TIFF with more strips, tiles or other numbers in a tag than any image has."""
    order = "<" if tiff.startswith(b"II") else ">"
    wide = tiff[2:3] == b"+"  # BigTIFF. Pillow reads no big-endian one.
    offset, number, entry = ("8xQ", "Q", "HHQ8x") if wide else ("4xI", "H", "HHI4x")
    try:
        (start,) = struct.unpack_from(order + offset, tiff)
        (tags,) = struct.unpack_from(order + number, tiff, start)
    except struct.error:
        return  # Pillow will say what is wrong with it.
    start += struct.calcsize(number)
    size = struct.calcsize("<" + entry)
    end = start + min(tags, (len(tiff) - start) // size) * size
    for tag, kind, count in struct.iter_unpack(order + entry, tiff[start:end]):
        strips = tag in (ExifTags.Base.StripOffsets, ExifTags.Base.TileOffsets)
        if count > MAX_TIFF_NUMBERS and (strips or kind not in _TIFF_BYTES):
            raise BadImage(
                "bomb",
                f"a TIFF of {count} numbers in tag {tag}; at most {MAX_TIFF_NUMBERS} are read",
            )


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 if EXIF is missing or broken."""
    block = image.info.get("exif") or image.info.get("Raw profile type exif") or b""
    if len(block) > MAX_EXIF:
        return 1
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:
        return 1
    return orientation if orientation in TURNS else 1
