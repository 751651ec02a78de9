"""COCO files of instance segmentation: https://cocodataset.org/#format-data."""

from __future__ import annotations

import contextlib
import itertools
import json
import sqlite3
from collections.abc import Iterator
from typing import Any, BinaryIO

from model.annotations.drawings import BadDrawing, Drawing, Polygon, Remark, Runs, unusable
from model.annotations.json_items import json_items
from model.annotations.labels import taken_together

_TABLES = """
CREATE TABLE images (id TEXT, name TEXT, width INTEGER, height INTEGER);
CREATE TABLE annotations (image TEXT, category TEXT, segmentation TEXT);
"""


def read_coco(file: BinaryIO) -> Iterator[Drawing | Remark]:
    """The images of a COCO file, one at a time, in the order of the file.

    An image without annotations holds no object: the format has no word for one that nobody has
    looked at yet. A crowd is foreground, as CVAT writes each mask as one.

    Args:
        file: The file. It is read from its beginning, three times.

    Raises:
        ValueError: It is no COCO file.
    """
    # The annotations of an image may be anywhere. They wait in a database on disk, which is gone
    # when it is closed, so that memory does not grow with the file.
    with contextlib.closing(sqlite3.connect("")) as store:
        store.executescript(_TABLES)
        images = map(_image_row, _items(file, "images"))
        store.executemany("INSERT INTO images VALUES (?, ?, ?, ?)", images)
        annotations = map(_annotation_row, _items(file, "annotations"))
        store.executemany("INSERT INTO annotations VALUES (?, ?, ?)", annotations)
        store.execute("CREATE INDEX of_annotations ON annotations (image)")
        store.execute("CREATE INDEX of_images ON images (id)")
        if store.execute("SELECT 1 FROM images LIMIT 1").fetchone() is None:
            raise ValueError("it holds no images, as a COCO file does")
        rows = store.execute(
            "SELECT images.rowid, name, width, height, segmentation FROM images "
            "LEFT JOIN annotations ON image = id ORDER BY images.rowid, annotations.rowid"
        )
        for (_, *image), group in itertools.groupby(rows, key=lambda row: row[:4]):
            yield _drawing(*image, [row[4] for row in group])
        lost = "SELECT image FROM annotations WHERE image NOT IN (SELECT id FROM images)"
        for (image,) in store.execute(lost):
            yield Remark("annotations are of no image of their file", f"image_id {image}")
        used = {row[0] for row in store.execute("SELECT DISTINCT category FROM annotations")}
        names = {str(one.get("id")): str(one.get("name")) for one in _items(file, "categories")}
        yield from taken_together(names.get(category, category) for category in used)


def _items(file: BinaryIO, name: str) -> Iterator[dict]:
    """The objects in the list of a name."""
    for item in json_items(file, f"{name}.item"):
        if not isinstance(item, dict):
            raise ValueError(f"its {name} are not those of a COCO file")
        yield item


def _image_row(image: dict) -> tuple:
    # What is no number is said where it is drawn.
    width, height = (n if isinstance(n := image.get(k), int) else 0 for k in ("width", "height"))
    name = str(image.get("file_name", ""))
    return str(image.get("id")), _stored(name), width, height


def _annotation_row(annotation: dict) -> tuple:
    category = str(annotation.get("category_id"))
    return str(annotation.get("image_id")), category, json.dumps(annotation.get("segmentation"))


def _stored(name: str) -> str:
    """A name as the database takes it, which refuses lone surrogates."""
    return json.dumps(name)


def _drawing(name: str, width: int, height: int, found: list[str | None]) -> Drawing | Remark:
    name = json.loads(name)
    try:
        shapes = [s for text in found if text is not None for s in _shapes(json.loads(text))]
    except BadDrawing as error:
        return unusable(error, name)
    return Drawing(name, (width, height), tuple(shapes))


def _shapes(segmentation: Any) -> Iterator[Polygon | Runs]:
    if isinstance(segmentation, dict):
        counts = segmentation.get("counts")
        if not isinstance(counts, str | list):
            raise BadDrawing("run lengths are missing")
        yield Runs(counts)
    elif isinstance(segmentation, list) and segmentation:
        yield from map(Polygon, segmentation)
    else:
        raise BadDrawing("an annotation has no segmentation; a box alone is no mask")
