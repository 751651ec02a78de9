"""The image formats that are read: Pillow's names, and the suffixes of their files."""

import contextlib
import functools

from PIL import Image

_SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "PNG": (".png", ".apng"),
    "WEBP": (".webp",),
    "BMP": (".bmp",),
    "DIB": (".dib",),
    "TIFF": (".tif", ".tiff"),
    "GIF": (".gif",),
    "AVIF": (".avif",),
    "JPEG2000": (".jp2", ".j2k", ".jpx", ".jpf", ".j2c", ".jpc"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm", ".pfm"),
    # Read where the extra "heic" is installed, and refused with a word elsewhere.
    "HEIF": (".heic", ".heif"),
}
FORMATS = tuple(_SUFFIXES)
IMAGE_SUFFIXES = tuple(suffix for suffixes in _SUFFIXES.values() for suffix in suffixes)


@functools.cache
def readable_formats() -> tuple[str, ...]:
    """The formats that this installation of Pillow reads."""
    with contextlib.suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener()
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)
