"""The files of each format, and what they are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from pipeline.annotations import coco, cvat, label_studio
from pipeline.annotations.objects import Annotated


class Document(NamedTuple):
    """A format that is one file.

    Attributes:
        file: The file's name.
        entry: From an image to what the file holds of it, without numbers that count all images.
        document: From all entries and the category to the text of the file.
    """

    file: str
    entry: Callable[[Annotated], dict]
    document: Callable[[Callable[[], Iterator[dict]], str], Iterator[str]]


DOCUMENTS = {
    "coco": Document("coco.json", coco.entry, coco.document),
    "labelstudio": Document("labelstudio.json", label_studio.entry, label_studio.document),
    "cvat": Document("cvat.xml", cvat.entry, cvat.document),
}
