"""Exports of Label Studio, in its format JSON: https://labelstud.io/guide/export."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, BinaryIO
from urllib.parse import parse_qs, unquote, urlsplit

from model.annotations.drawings import BadDrawing, Brush, Drawing, Polygon, Remark, unusable
from model.annotations.json_items import json_items
from model.annotations.labels import taken_together

# Regions that cover pixels and are not read.
_NO_MASKS = ("rectangle", "ellipse", "keypoint", "vector", "bitmask", "hypertext", "magicwand")
# What Label Studio puts before the name of an uploaded file.
_UPLOADED = re.compile(r"^/?data/upload/(?:\d+/)?[0-9a-f]{8}-")
_SERVED = re.compile(r"^/?data/local-files/?$")


def read_label_studio(file: BinaryIO) -> Iterator[Drawing | Remark]:
    """The images of an export, one at a time, in the order of the file.

    Of several annotations of a task, the last that was completed counts. A task without one is not
    labelled yet, whatever its predictions say. A completed one without regions says that there is
    no object.

    Args:
        file: The file. It is read from its beginning.

    Raises:
        ValueError: It is no such export.
    """
    labels: set[str] = set()
    for task in json_items(file, "item"):
        if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
            raise ValueError(
                "its tasks have no data; of the formats in which Label Studio exports, JSON is read"
            )
        name = _name_of(task["data"])
        completed = [one for one in task.get("annotations") or () if not one.get("was_cancelled")]
        if name is None:
            yield Remark("tasks have no image", f"task {task.get('id')}")
            continue
        if not completed:
            yield Remark("images are not labelled yet", name)
            continue
        if len(completed) > 1:
            yield Remark("images have several annotations, of which the last counts", name)
        last = max(completed, key=_when)
        try:
            yield _drawing(name, task["data"], last.get("result") or (), labels)
        except BadDrawing as error:
            yield unusable(error, name)
    yield from taken_together(labels)


def _drawing(name: str, data: dict, results: Any, labels: set[str]) -> Drawing:
    sizes, shapes = {_size(data.get("width"), data.get("height"))} - {(0, 0)}, []
    for result in results:
        if (kind := str(result.get("type", ""))) and isinstance(result.get("value"), dict):
            size = _size(result.get("original_width"), result.get("original_height"))
            shape = _shape(kind, result["value"], size)
            if shape is None:
                continue
            if result.get("image_rotation"):
                raise BadDrawing("the image was turned in Label Studio")
            sizes.add(size)
            shapes.append(shape)
            labels.update(map(str, result["value"].get(kind) or ()))
    if len(sizes) > 1:
        raise BadDrawing("regions are of images of several sizes")
    if not sizes:
        raise BadDrawing(
            "nothing was drawn, and the task does not say the width and height of its image"
        )
    return Drawing(name, sizes.pop(), tuple(shapes))


def _shape(kind: str, value: dict, size: tuple[int, int]) -> Brush | Polygon | None:
    """The shape of a region; None for a result that covers no pixels, such as a choice."""
    if kind.startswith("brush"):
        if value.get("format") != "rle" or not isinstance(value.get("rle"), list):
            raise BadDrawing("a brush stroke is not in the format rle")
        try:
            return Brush(bytes(value["rle"]))
        except (TypeError, ValueError):
            raise BadDrawing("a brush stroke does not consist of bytes") from None
    if kind.startswith("polygon"):
        try:
            scaled = [
                n * side / 100
                for point in value["points"]
                for n, side in zip(point, size, strict=True)
            ]
        except (KeyError, TypeError, ValueError):
            raise BadDrawing("a polygon has no points") from None
        return Polygon(scaled)
    if kind.startswith(_NO_MASKS):
        raise BadDrawing(f"a region of the type {kind} is not read; a brush or a polygon would be")
    return None


def _size(width: Any, height: Any) -> tuple[int, int]:
    return (width, height) if isinstance(width, int) and isinstance(height, int) else (0, 0)


def _when(annotation: dict) -> tuple[str, int]:
    number = annotation.get("id")
    # Times are written so that they sort by their text.
    when = annotation.get("updated_at") or annotation.get("created_at") or ""
    return str(when), number if isinstance(number, int) else 0


def _name_of(data: dict) -> str | None:
    """The name of a task's image; None without one."""
    if isinstance(data.get("key"), str):  # As the pipeline writes it.
        return data["key"]
    texts = [value for value in data.values() if isinstance(value, str)]
    url = data["image"] if isinstance(data.get("image"), str) else next(iter(texts), None)
    if url is None:
        return None
    if "://" in url and not url.startswith(("http://", "https://")):
        return url  # In a bucket: a path, which is written as it is.
    parts = urlsplit(url)
    if _SERVED.match(parts.path):
        return "/" + parse_qs(parts.query).get("d", [""])[0].lstrip("/")
    path = unquote(parts.path)
    return path[found.end() :] if (found := _UPLOADED.match(path)) else path
