"""Photos and masks as files: found in folders, and read upright."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from PIL import ExifTags, Image, ImageOps, TiffImagePlugin

from model.image_formats import IMAGE_SUFFIXES, readable_formats

# Of these modes Pillow makes 8 bits by cutting off what is brighter.
_DEEP = ("I", "F")


def find_pictures(folder: Path, *, below: bool = False) -> list[Path]:
    """Finds the files of a folder that are named like pictures. Others are counted and printed.

    Args:
        folder: The folder.
        below: Whether files in folders below it are meant, too.

    Returns:
        The files, sorted.

    Raises:
        ValueError: There is no such folder.
    """
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}")
    found, others = [], defaultdict(list)
    for path in folder.rglob("*") if below else folder.iterdir():
        if path.suffix.lower() in IMAGE_SUFFIXES:
            found.append(path)
        elif path.is_file() and not path.name.startswith("."):
            others[path.suffix.lower() or "without suffix"].append(path)
    for suffix, paths in sorted(others.items()):
        print(f"{folder}: {len(paths)} files {suffix} are not read, such as {min(paths)}")
    return sorted(found)


def open_picture(path: Path, mode: str) -> Image.Image:
    """Reads a picture, upright.

    Args:
        path: The file.
        mode: Pillow's mode of the result, of 8 bits.

    Raises:
        ValueError: It cannot be read, has more than 8 bits, or is a transparent photo; the message
            names the file.
    """
    try:
        with Image.open(path, formats=readable_formats()) as image:
            if image.mode.partition(";")[0] in _DEEP:
                raise ValueError(f"{path} has more than 8 bits a pixel; save it with 8")
            if mode == "RGB" and _shows_what_is_behind(image):
                raise ValueError(f"{path} is transparent; lay it on a ground, such as white")
            return ImageOps.exif_transpose(image).convert(mode)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        hint = ""
        if path.suffix.lower() in (".heic", ".heif") and "HEIF" not in readable_formats():
            hint = "; pip install '.[heic]' brings what reads HEIC"
        raise ValueError(f"cannot read {path}: {error}{hint}") from error


def _shows_what_is_behind(image: Image.Image) -> bool:
    if not image.has_transparency_data:
        return False
    return image.convert("RGBA").getchannel("A").getextrema()[0] < 255


def upright_size(path: Path) -> tuple[int, int]:
    """(width, height) of a picture, turned upright. Only its head is read.

    Raises:
        OSError: It cannot be read; or another error of Pillow's.
    """
    with Image.open(path, formats=readable_formats()) as image:
        size = image.size
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            # Its ``size`` is turned for some kinds of files and not for others.
            size = image.tag_v2[ExifTags.Base.ImageWidth], image.tag_v2[ExifTags.Base.ImageLength]
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) > 4
        return size[::-1] if turned else size
