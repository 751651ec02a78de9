"""What an annotation file says of an image, and the mask that is drawn of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.annotations.brush import decode_brush
from model.annotations.runs import fill_runs


class BadDrawing(ValueError):
    """The annotation of an image is no mask. The message says why, and names no image."""


@dataclass(frozen=True)
class Polygon:
    """An outline.

    Attributes:
        points: x, y, x, y … in pixels; (0, 0) is the corner of the image.
    """

    points: Sequence[float]


@dataclass(frozen=True)
class Runs:
    """Runs of background and foreground in turn.

    Attributes:
        counts: Their lengths in pixels, down the columns as in COCO, or along the rows of a box; or
            COCO's text of them.
        box: (left, top, width, height) of the box; None for runs down the columns of the image.
    """

    counts: Sequence[int] | str
    box: tuple[int, int, int, int] | None = None


@dataclass(frozen=True)
class Brush:
    """A stroke of Label Studio's brush.

    Attributes:
        data: As of ``encode_brush``.
    """

    data: bytes


@dataclass(frozen=True)
class Drawing:
    """What was drawn on an image.

    Attributes:
        name: What the file calls the image.
        size: (width, height) of the image.
        shapes: Foreground is what any of them covers; none where the image holds no object.
    """

    name: str
    size: tuple[int, int]
    shapes: tuple[Polygon | Runs | Brush, ...] = ()


@dataclass(frozen=True)
class Remark:
    """Something in an annotation file that is no drawing, but must be said.

    Attributes:
        kind: What is said after the number of cases.
        example: One case.
    """

    kind: str
    example: str


def unusable(error: BadDrawing, name: str) -> Remark:
    """What is said of an image whose annotation is no mask."""
    return Remark(f"annotated images are left out: {error}", name)


def draw(drawing: Drawing, max_pixels: int) -> np.ndarray:
    """The mask of a drawing.

    Args:
        drawing: The drawing.
        max_pixels: Most pixels of an image.

    Returns:
        bool (height, width).

    Raises:
        BadDrawing: A shape cannot be drawn, or the image has no or too many pixels.
    """
    width, height = drawing.size
    if width < 1 or height < 1:
        raise BadDrawing("the size of the image is not given")
    if width * height > max_pixels:
        raise BadDrawing(f"the image is said to have over {max_pixels / 1e6:g} megapixels")
    mask = np.zeros((height, width), bool)
    for shape in drawing.shapes:
        try:
            mask |= _mask_of(shape, drawing.size)
        except BadDrawing:
            raise
        except (ValueError, OverflowError, TypeError) as error:
            raise BadDrawing(str(error)) from error
    return mask


def _mask_of(shape: Polygon | Runs | Brush, size: tuple[int, int]) -> np.ndarray:
    if isinstance(shape, Polygon):
        return _filled(shape.points, size)
    if isinstance(shape, Brush):
        return decode_brush(shape.data, size)
    if isinstance(shape.counts, str):
        return fill_runs(coco_counts(shape.counts), size, by_columns=True)
    counts = np.array(shape.counts)
    if shape.box is None:
        return fill_runs(counts, size, by_columns=True)
    left, top, width, height = shape.box
    if width < 1 or height < 1:
        raise BadDrawing("the box of a mask has no pixels")
    if left < 0 or top < 0 or left + width > size[0] or top + height > size[1]:
        raise BadDrawing("the box of a mask leaves the image")
    mask = np.zeros(size[::-1], bool)
    mask[top : top + height, left : left + width] = fill_runs(counts, (width, height))
    return mask


def _filled(points: Sequence[float], size: tuple[int, int]) -> np.ndarray:
    """The inside of a polygon, by the reference implementation of COCO."""
    # Imported here because few jobs read annotations.
    from pycocotools import mask as coco

    width, height = size
    outline = np.array(points, np.float64)
    if outline.ndim != 1 or len(outline) % 2 or len(outline) < 6:
        raise BadDrawing("a polygon has fewer than three points")
    outline = outline.reshape(-1, 2)
    # What is far away would take gigabytes.
    if not (np.abs(outline - np.array(size) / 2) <= 2 * np.array(size) + 16).all():
        raise BadDrawing("a polygon leaves the image")
    (encoded,) = coco.frPyObjects([outline.ravel().tolist()], height, width)
    return fill_runs(coco_counts(encoded["counts"].decode()), size, by_columns=True)


def coco_counts(text: str) -> np.ndarray:
    """The run lengths in COCO's text of them: int64 (N,).

    Each number is written five bits a character, the lowest first; the sixth bit says that more
    follow, and the fifth of the last is the sign. From the fourth on, a number is the difference
    from the one before the last (``maskApi.c`` of the COCO API). This is read here, and not by that
    library, because that one trusts the text.

    Raises:
        ValueError: The text is damaged.
    """
    codes = np.frombuffer(text.encode("latin-1"), np.uint8).astype(np.int64) - 48
    if len(codes) and (codes.min() < 0 or codes.max() > 63 or codes[-1] & 32):
        raise ValueError("the text of run lengths is damaged")
    ends = np.flatnonzero(~codes & 32)
    first = np.concatenate([[0], ends[:-1] + 1]).astype(np.int64)[: len(ends)]
    lengths = ends - first + 1
    if len(lengths) and lengths.max() > 7:
        raise ValueError("the text of run lengths is damaged")
    place = np.arange(len(codes)) - np.repeat(first, lengths)
    numbers = np.add.reduceat((codes & 31) << (5 * place), first) if len(ends) else codes
    numbers -= ((codes[ends] & 16) >> 4) << (5 * lengths)
    for start in (1, 2):
        numbers[start::2] = np.cumsum(numbers[start::2])
    return numbers
