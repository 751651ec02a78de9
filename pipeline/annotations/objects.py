"""Masks to objects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Of levels that are a probability x 255: at least 0.5.
FOREGROUND = 128


@dataclass(frozen=True)
class Marked:
    """An object in an image.

    Attributes:
        mask: bool (h, w): the smallest part of the image's mask that holds the object.
        corner: (left, top) of it in the image.
        area: Pixels of the object.
        score: Mean probability in the object.
    """

    mask: np.ndarray
    corner: tuple[int, int]
    area: int
    score: float

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, width and height."""
        return (*self.corner, *self.mask.shape[::-1])


@dataclass(frozen=True)
class Annotated:
    """An image with the objects in it.

    Attributes:
        key: Its key.
        path: The image file, or the shard.
        is_record: Whether it lies in a shard.
        size: (width, height) of the upright image.
        objects: The objects.
        category: What they are called.
        model: What found them.
    """

    key: str
    path: str
    is_record: bool
    size: tuple[int, int]
    objects: list[Marked]
    category: str
    model: str


def whole_object(levels: np.ndarray) -> list[Marked]:
    """The foreground of an image as one object, or none.

    Args:
        levels: uint8 (height, width), probability x 255.
    """
    foreground = levels >= FOREGROUND
    rows, columns = (np.flatnonzero(foreground.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return []
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    mask = foreground[box]
    score = levels[box][mask].mean() / 255
    return [Marked(mask, (int(columns[0]), int(rows[0])), int(mask.sum()), float(score))]


def connected_objects(levels: np.ndarray, min_area: int) -> tuple[list[Marked], int]:
    """The 8-connected parts of the foreground, in the order of their first rows.

    Args:
        levels: uint8 (height, width), probability x 255.
        min_area: Fewest pixels of an object.

    Returns:
        The objects, and how many parts are smaller.
    """
    # Imported here because it takes long, and whole objects need none of it.
    from scipy import ndimage

    labels, count = ndimage.label(levels >= FOREGROUND, np.ones((3, 3), bool))
    areas = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    sums = np.bincount(labels.ravel(), levels.ravel(), minlength=count + 1)[1:]
    boxes = ndimage.find_objects(labels)
    objects = []
    for index in np.flatnonzero(areas >= min_area):
        rows, columns = boxes[index]
        mask = labels[rows, columns] == index + 1
        area, corner = int(areas[index]), (columns.start, rows.start)
        objects.append(Marked(mask, corner, area, float(sums[index] / area / 255)))
    return objects, int((areas < min_area).sum())
