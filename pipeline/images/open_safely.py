"""Opens images that nobody vouches for, with bounds on memory and time.

A file of a few kilobytes can claim terabytes of pixels, tags that share their bytes, millions of
strips, or thousands of passes over the picture. No honest image does what is refused here.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
import warnings
from collections.abc import Iterator

from PIL import ExifTags, Image, UnidentifiedImageError

from model.image_formats import readable_formats
from pipeline.failures import BadImage
from pipeline.images.deep_colours import deepen, mend_planes, swapped
from pipeline.images.jpeg2000 import levels_of
from pipeline.images.lean_files import MAX_EXIF, lean
from pipeline.images.libtiff_messages import libtiff_errors
from pipeline.images.memory import room_for
from pipeline.images.refusals import bad_image, damaged, kind_of, missing_coding, unidentified
from pipeline.images.written_pixels import all_pixels_are_written

MAX_PIXELS = 200_000_000
# Peak memory of decoding in bytes, the file itself apart. It grows with a larger limit of pixels.
MAX_MEMORY = 1_610_612_736
# Measured peaks. WebP holds three more copies, TIFF a strip as large as the image and a turned
# copy. JPEG depends on the image.
BYTES_A_PIXEL = {
    "PNG": 4,
    "BMP": 4,
    "DIB": 4,
    "GIF": 4,
    "TIFF": 12,
    "WEBP": 16,
    "AVIF": 12,
    "HEIF": 12,
    "PPM": 8,
    "JPEG2000": 28,
}
# Blocks of JPEG 2000 take these for each pixel, also of a picture that is halved while decoded.
_BLOCKS_A_PIXEL = 6
# Encoders write about 10. A scan of 95 bytes costs a pass over the whole picture.
MAX_JPEG_SCANS = 100
# Pillow decodes runs in Python, and a run of four bytes can skip 255 rows.
MAX_RUN_LENGTH_PIXELS = 1 << 24
MAX_RUN_LENGTH_WIDTH = 1 << 16
# Reading a comment takes time that grows with the square of its length.
MAX_GIF_HEAD = 1 << 20
MAX_READS = 1 << 20

# Start of a segment. Within a scan, FF is followed by 0 or by a marker without a segment.
_MARKER = re.compile(rb"\xff([^\0\xff\x01\xd0-\xd8])", re.DOTALL)

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Pillow warns of broken metadata in ever new words, and Python would keep every one of them.
warnings.filterwarnings("ignore", module=r"PIL\.")
# It logs errors, too, before it raises them.
logging.getLogger("PIL").setLevel(logging.CRITICAL)


@contextlib.contextmanager
def opened(
    data: bytes, least_side: int | None = None, max_pixels: int = MAX_PIXELS
) -> Iterator[tuple[Image.Image, tuple[int, int], Image.Transpose | None]]:
    """Decodes the first frame. A process holds one large image at a time.

    Args:
        data: An encoded image of one of ``FORMATS``.
        least_side: A JPEG may be decoded at 1/2, 1/4 or 1/8 of its size (JPEG 2000 at less, too),
            as long as neither side falls below this many pixels; None for all of its pixels.
        max_pixels: Most pixels of an image.

    Yields:
        The image as it is stored, (width, height) of the upright image at its full size, and how
        to turn the stored one upright, or None.

    Raises:
        BadImage: The data is no image of these formats, is truncated, broken or too large, or
            costs more to decode than any image does.
    """
    if not data:
        raise BadImage("empty", "no bytes")
    image, size, scaled = _open(data, least_side, max_pixels)
    kind, lower = image.format, swapped(image)
    with room_for(image.width * image.height):
        with libtiff_errors() as errors:
            try:
                with bad_image(kind):
                    image.load()
                    if lower is not None:
                        deepen(image, lower, lambda tiles: _with_tiles(data, tiles, max_pixels))
            except BadImage as error:
                raise missing_coding(errors) or error from None
        if errors:
            raise damaged(kind, errors[0])
        if kind == "TIFF" and not all_pixels_are_written(image, data):
            raise damaged(kind, "they end early")
        if not scaled:
            size = image.size  # TIFF is upright only now.
        orientation = _orientation(image)
        yield image, size[::-1] if orientation >= 5 else size, TURNS.get(orientation)


def _open(
    data: bytes, least_side: int | None, max_pixels: int
) -> tuple[Image.Image, tuple[int, int], bool]:
    """The image, not yet decoded; its full size; whether it will be decoded at reduced scale."""
    data = lean(data)
    # Pillow allocates a GIF while it opens it. It warns above this, and raises at twice as much.
    Image.MAX_IMAGE_PIXELS = max_pixels // 2
    file = _Bounded(data)
    try:
        with bad_image(kind_of(data)):
            image = Image.open(file, formats=readable_formats())
    except BadImage as error:
        cause = error.__cause__
        if isinstance(cause, UnidentifiedImageError):
            raise unidentified(data) from None
        if isinstance(cause, Image.DecompressionBombError):
            raise _too_large("the image", max_pixels) from None
        raise
    file.bytes_left = _bytes_to_read(data)
    if image.format == "TIFF":
        # Keeps Pillow from making Python numbers of all that the EXIF directories hold.
        image.is_animated = True
        mend_planes(image)
    size = image.size
    with bad_image(image.format):
        scaled = least_side is not None and image.draft(None, (least_side, least_side)) is not None
    if image.format == "JPEG2000" and size[0] * size[1] <= max_pixels:
        scaled = _halve(image, levels_of(data, size), least_side)
    _check_cost(image, size, data, max_pixels)
    return image, size, scaled


def _halve(image: Image.Image, levels: int, least_side: int | None) -> bool:
    """Lets a JPEG 2000 be decoded at 1/2, 1/4 or less of its size, and says whether it will be."""
    for halvings in range(levels if least_side else 0, 0, -1):
        by = 1 << halvings
        # Pillow rounds the size, OpenJPEG rounds it up.
        if all(side // by >= least_side and (-side % by) * 2 <= by for side in image.size):
            image.reduce = halvings
            return True
    return False


def _with_tiles(data: bytes, tiles: list, max_pixels: int) -> Image.Image:
    """The image, decoded in another way."""
    image, _, _ = _open(data, None, max_pixels)
    image.tile = tiles
    image.load()
    return image


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


def _too_large(what: str, max_pixels: int) -> BadImage:
    return BadImage(
        "too_large",
        f"{what} has more than {max_pixels / 1e6:g} megapixels; --max_megapixels raises the limit",
    )


def _check_cost(image: Image.Image, size: tuple[int, int], data: bytes, max_pixels: int) -> None:
    """Refuses what would take too much memory or time. ``size`` is the full size."""
    pixels, decoded = size[0] * size[1], image.width * image.height
    if pixels > max_pixels:
        raise _too_large(f"the {image.format} of {size[0]} x {size[1]} pixels", max_pixels)
    if image.format == "JPEG2000":
        halvings = image.reduce if isinstance(image.reduce, int) else 0
        memory = (BYTES_A_PIXEL["JPEG2000"] * decoded >> 2 * halvings) + _BLOCKS_A_PIXEL * pixels
    elif image.format in BYTES_A_PIXEL:
        memory = BYTES_A_PIXEL[image.format] * decoded
    else:
        # JPEG and MPO: a progressive image is held as coefficients of 16 bits at its full size.
        memory = 4 * decoded + 2 * len(image.getbands()) * pixels
    limit = MAX_MEMORY * max(max_pixels, MAX_PIXELS) // MAX_PIXELS
    if memory > limit:
        raise BadImage(
            "too_large",
            f"{image.format} of {size[0]} x {size[1]} pixels takes {memory / 2**30:.1f} GiB to "
            f"decode, of at most {limit / 2**30:.1f}; --max_megapixels above "
            f"{MAX_PIXELS / 1e6:g} raises the limit",
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
