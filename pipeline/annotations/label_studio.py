"""Tasks of Label Studio with predictions: https://labelstud.io/guide/predictions."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from model.annotations.brush import encode_brush
from pipeline.annotations.objects import Annotated, Marked


def entry(image: Annotated) -> dict:
    """The task of an image. Its objects are predictions, which an annotator accepts or corrects."""
    width, height = image.size
    results = [_result(n, one, image) for n, one in enumerate(image.objects, 1)]
    scores = [one.score for one in image.objects]
    prediction = {"model_version": image.model, "result": results}
    if scores:
        prediction["score"] = round(sum(scores) / len(scores), 4)
    # What comes back says by the key which image it is of, and how large where nothing is drawn.
    data = {"image": _address(image), "key": image.key, "width": width, "height": height}
    return {"data": data, "predictions": [prediction]}


def document(entries: Callable[[], Iterator[dict]], _: str) -> Iterator[str]:
    """The text of a file, piece by piece.

    Args:
        entries: What ``entry`` has made of each image.
    """
    yield "["
    for number, one in enumerate(entries()):
        yield (",\n" if number else "\n") + json.dumps(one)
    yield "\n]\n"


def labelling_interface(category: str) -> str:
    """The interface that a project needs for the tasks."""
    return f"""<View>
  <Image name="image" value="$image" zoom="true" zoomControl="true"/>
  <BrushLabels name="mask" toName="image">
    <Label value={quoteattr(category)} background="#e6194b"/>
  </BrushLabels>
</View>
"""


def _result(number: int, marked: Marked, image: Annotated) -> dict:
    width, height = image.size
    stroke = encode_brush(marked.mask, marked.corner, image.size)
    return {
        "id": str(number),
        "type": "brushlabels",
        "from_name": "mask",
        "to_name": "image",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "score": round(marked.score, 4),
        "value": {"format": "rle", "rle": list(stroke), "brushlabels": [image.category]},
    }


def _address(image: Annotated) -> str:
    """Where Label Studio finds the image; of a record, which it cannot open, the key."""
    if image.is_record:
        return image.key
    if "://" in image.path:
        return image.path
    return "/data/local-files/?d=" + quote(os.fsencode(os.path.abspath(image.path).lstrip("/")))
