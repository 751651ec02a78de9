"""Rows of masks that a generator draws, with and without truth."""

import numpy as np

from pipeline.records import Item, MetricsRow, Origin, Truth
from pipeline.stages.score import score
from tests.pipeline.encoded import encode_array


def row(number, key=None, truth=True):
    """A row of a mask of random blocks."""
    rng = np.random.default_rng(number)
    kind = number % 5
    mask = np.kron(rng.integers(0, 256, (4, 5)), np.ones((3, 3))).astype(np.uint8)
    if kind == 3:
        mask[:] = 10
    if kind == 4:
        mask = np.maximum(mask, 130)
    encoded = Truth(encode_array(rng.random(mask.shape) < 0.4)) if truth else None
    name = f"masks/{number}.png"
    origin = Origin(name, path=f"photos/{number}.jpg")
    return score(Item(key or f"{number}.jpg", name, "c", encoded, origin=origin), mask)


ROWS = [row(number, truth=number % 3 > 0) for number in range(60)]


def keys(rows: list[MetricsRow]):
    """Names of rows, in their order."""
    return [one.key for one in rows]
