"""Ultralytics' format of segmentation: https://docs.ultralytics.com/datasets/segment/."""

from __future__ import annotations

import json

import numpy as np

from pipeline.annotations.objects import Annotated
from pipeline.annotations.outline import outline


def labels(image: Annotated) -> str:
    """The label file of an image: a line for each object, an empty file for none."""
    lines = []
    for one in image.objects:
        points = (outline(one.mask) + one.corner) / image.size
        numbers = " ".join(_short(number) for number in points.ravel())
        lines.append(f"0 {numbers}\n")
    return "".join(lines)


def data_set(category: str) -> str:
    """What ``data.yaml`` holds."""
    return f"""# The photos belong into images/, beside labels/ and under the names of the labels.
train: images
val: images
names:
  0: {json.dumps(category)}
"""


def _short(number: np.float64) -> str:
    """Six decimals are a hundredth of a pixel of the widest photos."""
    return f"{number:.6f}".rstrip("0").rstrip(".")
