"""Exports of CVAT, in its format "CVAT for images 1.1".

https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO
from xml.etree import ElementTree

from model.annotations.drawings import BadDrawing, Drawing, Polygon, Remark, Runs, unusable
from model.annotations.labels import taken_together

_NO_MASKS = ("box", "ellipse", "cuboid", "polyline", "points", "skeleton")


def read_cvat(file: BinaryIO) -> Iterator[Drawing | Remark]:
    """The images of an export, one at a time, in the order of the file.

    An image without shapes holds no object: the format has no word for one that nobody has looked
    at yet.

    Args:
        file: The file, at its beginning.

    Raises:
        ValueError: It is no such export.
    """
    labels: set[str] = set()
    root = None
    try:
        for event, element in ElementTree.iterparse(file, ("start", "end")):
            if root is None:
                root = element
                if root.tag != "annotations":
                    raise ValueError(f"it begins with <{root.tag}>, and not with <annotations>")
            if element.tag == "track":
                raise ValueError("it is an export for video; CVAT for images 1.1 is read")
            if event == "end" and element.tag == "image":
                yield _drawing(element, labels)
                root.clear()  # What was read takes no memory.
    except ElementTree.ParseError as error:
        raise ValueError(f"it is no XML: {error}") from error
    yield from taken_together(labels)


def _drawing(image: ElementTree.Element, labels: set[str]) -> Drawing | Remark:
    name = image.get("name", "")
    try:
        size = int(image.get("width", 0)), int(image.get("height", 0))
        shapes = [_shape(one) for one in image if one.tag != "tag"]
        labels.update(one.get("label", "") for one in image if one.tag != "tag")
        return Drawing(name, size, tuple(shapes))
    except BadDrawing as error:
        return unusable(error, name)
    except ValueError:
        return unusable(BadDrawing("a number of a shape is none"), name)


def _shape(element: ElementTree.Element) -> Polygon | Runs:
    if element.tag == "mask":
        box = tuple(int(element.get(side, -1)) for side in ("left", "top", "width", "height"))
        return Runs([int(text) for text in element.get("rle", "").split(",")], box)
    if element.tag == "polygon":
        points = element.get("points", "").replace(";", ",").split(",")
        return Polygon([float(text) for text in points])
    if element.tag in _NO_MASKS:
        raise BadDrawing(f"a {element.tag} is no mask; a mask or a polygon would be")
    raise BadDrawing(f"a shape <{element.tag}> is not known")
