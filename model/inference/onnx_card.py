"""What is written beside an ONNX file: which pixels the network takes, and which output is the map.

The file itself does not say so. ``u2net.onnx`` has its card in ``u2net.json``.
"""

from __future__ import annotations

import json
import math
from dataclasses import MISSING, dataclass, fields
from pathlib import Path

from model.presets import ONNX_SUFFIX

LAYOUTS = ("NCHW", "NHWC")
LARGEST = "largest"
RESIZED = ("bilinear", "bicubic", "lanczos")
EXAMPLE = (
    '{"size": 320, "mean": [0.485, 0.456, 0.406], "scale": [0.229, 0.224, 0.225], '
    '"layout": "NCHW", "output": 0}'
)


@dataclass(frozen=True)
class Card:
    """What a network takes and gives: (pixels / divisor - mean) / scale, RGB, and a map.

    Attributes:
        size: Side S of the square images, in pixels.
        mean: What is subtracted from red, green and blue.
        scale: What they are then divided by.
        layout: ``"NCHW"`` or ``"NHWC"``.
        output: The name of the output that is the map, or its number, from 0. It has S x S numbers.
        divisor: What pixels from 0 to 255 are divided by first: a number, or ``"largest"``, the
            largest of the image.
        logits: Whether the map still needs a sigmoid to be one of probabilities.
        resize: How a photo becomes so small, one of ``RESIZED``, as Pillow names it.
    """

    size: int
    mean: tuple[float, float, float]
    scale: tuple[float, float, float]
    layout: str
    output: str | int
    divisor: float | str = 255
    logits: bool = False
    resize: str = "bilinear"


def card_of(model: str) -> str:
    """The path of a model file's card.

    Args:
        model: An ``.onnx`` file on any filesystem.
    """
    return f"{model.removesuffix(ONNX_SUFFIX)}.json"


def read_card(path: str | Path) -> Card:
    """Reads a card.

    Args:
        path: A file on this machine.

    Raises:
        ValueError: It says too little, too much or something else; the message is one line and
            shows a card.
        OSError: It cannot be read.
    """
    try:
        values = json.loads(Path(path).read_bytes())
    except ValueError as error:
        raise _unusable(path, "is no JSON") from error
    if not isinstance(values, dict):
        raise _unusable(path, "holds no object")
    known = {field.name: field.default is MISSING for field in fields(Card)}
    missing = [name for name, needed in known.items() if needed and name not in values]
    if missing:
        raise _unusable(path, f"does not say {', '.join(missing)}")
    if unknown := values.keys() - known:
        raise _unusable(path, f"says {', '.join(sorted(unknown))}, which means nothing")
    for name, value in values.items():
        if not _CHECKS[name](value):
            raise _unusable(path, f"says that {name} is {json.dumps(value)}")
    for name in ("mean", "scale"):
        values[name] = tuple(values[name])
    return Card(**values)


def _unusable(path: str | Path, what: str) -> ValueError:
    return ValueError(f"its card {str(path)!r} {what}; one would be, say, {EXAMPLE}")


def _is_number(value) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value)


def _is_whole(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _are_colours(value) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(map(_is_number, value))


_CHECKS = {
    "size": lambda value: _is_whole(value) and value > 0,
    "mean": _are_colours,
    "scale": lambda value: _are_colours(value) and all(value),
    "layout": lambda value: value in LAYOUTS,
    "output": lambda value: isinstance(value, str) or _is_whole(value),
    "divisor": lambda value: value == LARGEST or (_is_number(value) and value > 0),
    "logits": lambda value: isinstance(value, bool),
    "resize": lambda value: value in RESIZED,
}
