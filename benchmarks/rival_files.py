"""Figures of other programs' masks, each in a JSON file that names its source."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Rival:
    """Figures of one program on one set of photos.

    Attributes:
        name: The program, for the table.
        source: Where the figures come from.
        photos: Number of photos that they were measured on.
        set: Name of the set of photos.
        figures: Value by name, named as in `summary.json`. Figures that are not known are absent.
    """

    name: str
    source: str
    photos: int
    set: str
    figures: dict[str, float]


def read_rival(path: Path, known: Collection[str]) -> Rival:
    """Reads a rival's file.

    Args:
        path: The file.
        known: Names that a figure may have.

    Raises:
        ValueError: The file is not JSON, a key is missing or unknown, or a value has the wrong
            type. The message begins with the path.
        OSError: The file cannot be read.
    """
    try:
        values = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path} does not hold a JSON object")
    wanted = {field.name for field in dataclasses.fields(Rival)}
    if missing := wanted - values.keys():
        raise ValueError(f"{path} lacks {', '.join(sorted(missing))}")
    if unknown := values.keys() - wanted:
        raise ValueError(f"{path} has unknown keys: {', '.join(sorted(unknown))}")
    rival = Rival(**values)
    if not all(isinstance(text, str) and text for text in (rival.name, rival.source, rival.set)):
        raise ValueError(f"{path}: name, source and set have to be text")
    if not _is_number(rival.photos, int) or rival.photos < 1:
        raise ValueError(f"{path}: photos has to be a positive integer")
    if not isinstance(rival.figures, dict) or not rival.figures:
        raise ValueError(f"{path}: figures has to be an object that is not empty")
    if unknown := rival.figures.keys() - known:
        raise ValueError(
            f"{path} has unknown figures: {', '.join(sorted(unknown))}; known are "
            f"{', '.join(known)}"
        )
    if not all(_is_number(value, int | float) for value in rival.figures.values()):
        raise ValueError(f"{path}: every figure has to be a number")
    return rival


def _is_number(value: object, kind) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)
