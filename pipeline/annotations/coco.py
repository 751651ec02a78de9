"""COCO's format of instance segmentation: https://cocodataset.org/#format-data."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from model.annotations.runs import run_lengths
from pipeline.annotations.objects import Annotated, Marked


def entry(image: Annotated) -> dict:
    """An image and its annotations, without their numbers."""
    width, height = image.size
    return {
        "image": {"file_name": image.key, "width": width, "height": height},
        "annotations": [_annotation(one, image.size) for one in image.objects],
    }


def document(entries: Callable[[], Iterator[dict]], category: str) -> Iterator[str]:
    """The text of a file, piece by piece.

    Args:
        entries: What ``entry`` has made of each image. It is called twice.
        category: What the objects are called.
    """
    yield '{"info": {"description": "Salient objects"},\n"licenses": [],\n"categories": '
    yield json.dumps([{"id": 1, "name": category, "supercategory": ""}])
    yield ',\n"images": ['
    for number, one in enumerate(entries(), 1):
        yield ("\n" if number == 1 else ",\n") + json.dumps({"id": number, **one["image"]})
    yield '\n],\n"annotations": ['
    number = 0
    for image, one in enumerate(entries(), 1):
        for annotation in one["annotations"]:
            number += 1
            numbers = {"id": number, "image_id": image, "category_id": 1}
            yield ("\n" if number == 1 else ",\n") + json.dumps({**numbers, **annotation})
    yield "\n]}\n"


def _annotation(marked: Marked, size: tuple[int, int]) -> dict:
    # Imported here because few jobs write annotations.
    from pycocotools import mask as coco

    width, height = size
    counts = run_lengths(marked.mask, marked.corner, size, by_columns=True)
    runs = {"size": [height, width], "counts": counts.tolist()}
    encoded = coco.frPyObjects(runs, height, width)
    return {
        "segmentation": {"size": [height, width], "counts": encoded["counts"].decode()},
        "area": marked.area,
        "bbox": list(marked.box),
        "iscrowd": 0,
        "score": round(marked.score, 4),
    }
