"""Why an image cannot be read, in words that a photographer understands."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator

from PIL import Image, features

from model.image_formats import FORMATS
from pipeline.failures import BadImage
from pipeline.images.netpbm import NETPBM

# How files of the formats that are read begin.
_SIGNATURES = {
    "JPEG": (b"\xff\xd8\xff",),
    # What follows is lost where a file was copied as text.
    "PNG": (b"\x89PNG",),
    "WEBP": (b"RIFF",),
    "GIF": (b"GIF87a", b"GIF89a"),
    "JPEG2000": (b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"),
    "PPM": (*NETPBM, b"Pf\n"),
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
}
_CONVERT, _UNPACK = "convert it to JPEG or PNG first", "unpack it first"
_HEIC = f"install pillow-heif, or {_CONVERT}"
_PAGE, _VIDEO = "download the image itself", "save one of its frames as JPEG or PNG"
# How others begin that people take for photos: offset, bytes, name, and what would do.
_OTHERS = (
    (4, b"ftypavif", "an AVIF image"),
    (4, b"ftypavis", "an AVIF image"),
    (4, b"ftyphei", "a HEIC image", _HEIC),
    (4, b"ftyphev", "a HEIC image", _HEIC),
    (4, b"ftypmif1", "a HEIC image", _HEIC),
    (4, b"ftypcrx", "a raw photo of a Canon camera"),
    (4, b"ftyp", "a video", _VIDEO),
    (0, b"\xff\x0a", "a JPEG XL image"),
    (0, b"\0\0\0\x0cJXL ", "a JPEG XL image"),
    (0, b"8BPS", "a Photoshop document"),
    (0, b"%PDF", "a PDF document"),
    (0, b"%!PS", "a PostScript document"),
    (0, b"<svg", "an SVG drawing"),
    (0, b"<?xml", "an XML document, perhaps an SVG drawing"),
    (0, b"<!DOCTYPE html", "a web page", _PAGE),
    (0, b"<html", "a web page", _PAGE),
    (0, b"\0\0\1\0", "an icon"),
    (0, b"qoif", "a QOI image"),
    (0, b"#?RADIANCE", "a Radiance HDR image"),
    (0, b"\x76\x2f\x31\x01", "an OpenEXR image"),
    (0, b"SIMPLE  =", "a FITS image"),
    (128, b"DICM", "a DICOM image"),
    (0, b"\x01\xda", "an SGI image"),
    (0, b"\0\0\2\0\1\0", "a cursor"),
    (-18, b"TRUEVISION-XFILE", "a TGA image"),
    (0, b"P7\n", "a Netpbm image of any channels (PAM)"),
    (0, b"PF\n", "a Netpbm image of floats in colours"),
    (0, b"\x1f\x8b", "a gzip archive", _UNPACK),
    (0, b"PK\3\4", "a zip archive", _UNPACK),
    (257, b"ustar", "a tar archive", _UNPACK),
)
# Of these, the formats that are read where Pillow has their decoder.
_BY_DECODER = {"an AVIF image": "AVIF", "a HEIC image": "HEIF"}
# Two bytes are little to tell a format by: only used for what Pillow takes for a BMP.
_BMP = b"BM"
# Parts of Pillow's messages, and what they mean.
_DAMAGED = ("broken data stream", "decoder error", "unrecognized data stream", "corrupt", "crc")
_TRUNCATED = ("truncated", "not enough image data", "unexpected end")
_UNSUPPORTED = ("unknown pixel mode", "unsupported", "not supported")
_WITHOUT_PIXELS = ("cannot load this image",)


def unidentified(data: bytes) -> BadImage:
    """What is said of a file that Pillow cannot open.

    Args:
        data: The whole file.
    """
    name = _format(data)
    if name:
        return _in_plain_words(_reason_of_plugin(name, data), name)
    for offset, start, what, *remedy in _OTHERS:
        if data[offset:][: len(start)].lower() == start.lower():
            if _is_read(_BY_DECODER.get(what, "")):
                text = f"{what} that is damaged, or larger than its decoder takes"
                return BadImage("broken", text)
            todo = remedy[0] if remedy else _CONVERT
            return BadImage("unsupported", f"{what}, which is not read; {todo}")
    return BadImage("not_an_image", f"it does not begin like a {' or '.join(FORMATS)} image")


def _is_read(name: str) -> bool:
    """Whether Pillow has a format with its decoder. The plugin of AVIF may be there without."""
    return name in Image.OPEN and (name != "AVIF" or features.check("avif"))


def kind_of(data: bytes) -> str:
    """What to call a file that Pillow opens: its format, by its first bytes."""
    for offset, start, what, *_ in _OTHERS:
        if what in _BY_DECODER and data.startswith(start, offset):
            return _BY_DECODER[what]
    return _format(data) or ("BMP" if data.startswith(_BMP) else "image")


def _format(data: bytes) -> str:
    for name, starts in _SIGNATURES.items():
        if data.startswith(starts) and (name != "WEBP" or data[8:12] == b"WEBP"):
            return name
    return ""


@contextlib.contextmanager
def bad_image(kind: str = "image") -> Iterator[None]:
    """Turns every error of Pillow's decoders into a ``BadImage``.

    Args:
        kind: What is decoded, for the message.
    """
    try:
        yield
    except BadImage:
        raise
    except MemoryError as error:
        raise BadImage("too_large", f"the {kind} needs more memory than there is") from error
    except Exception as error:
        raise _in_plain_words(error, kind) from error


def damaged(kind: str, detail: str) -> BadImage:
    """What is said of pixels that cannot be decoded.

    Args:
        kind: The format.
        detail: What the decoder said.
    """
    return BadImage("broken", f"the pixels of the {kind} are damaged: {detail}")


def missing_coding(messages: list[str]) -> BadImage | None:
    """What is said of a TIFF whose coding this libtiff was built without; None for other errors.

    Args:
        messages: What libtiff said.
    """
    for message in messages:
        if message.endswith("is not configured"):
            return BadImage(
                "unsupported", f"a TIFF that is not read ({message}); save it without compression"
            )
    return None


def _reason_of_plugin(name: str, data: bytes) -> Exception:
    """What the plugin of a format raises for a file, which ``Image.open`` keeps to itself."""
    factory, _ = Image.OPEN[name]
    try:
        factory(io.BytesIO(data), "")
    except Exception as error:
        return error
    return ValueError("its head is damaged")


def _in_plain_words(error: Exception, kind: str) -> BadImage:
    text = str(error)
    folded = text.lower()
    if isinstance(error, BadImage):
        return error
    if any(part in folded for part in _TRUNCATED) or isinstance(error, EOFError):
        return BadImage("broken", f"the {kind} is cut short; copy it from its source again")
    if any(part in folded for part in _WITHOUT_PIXELS):
        return BadImage("broken", f"the {kind} holds no pixels")
    if any(part in folded for part in _UNSUPPORTED):
        return BadImage(
            "unsupported",
            f"{kind} of a kind that is not read ({text}); convert it to 8-bit RGB first",
        )
    if kind == "TIFF" and text.isdigit():
        # A key that Pillow's table of compressions lacks.
        return BadImage(
            "unsupported",
            f"a TIFF of compression {text}, which is not read; save it without compression",
        )
    if any(part in folded for part in _DAMAGED):
        return damaged(kind, "they cannot be decoded")
    return BadImage("broken", f"the {kind} is damaged ({type(error).__name__}: {text})")
