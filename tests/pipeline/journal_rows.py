"""Rows for tests of the journal, and what a journal holds."""

import itertools
from pathlib import Path

import numpy as np

from model.metrics.counts import LevelCounts
from pipeline.records import Item, MetricsRow, Origin
from pipeline.storage.journal_files import from_line, journal_files, newest


def row(number, content="c", truth=False):
    """A row of figures that depend on a number."""
    rng = np.random.default_rng(number)
    values = {"mae": float(rng.random()), "iou": None, "bounding_box": [1, 2, 3, 4], "empty": False}
    counts = LevelCounts(*rng.integers(0, 2**40, (2, 256))).to_bytes() if truth else None
    mask = f"masks/{number}.png"
    item = Item(f"{number}\n.jpg", mask, content, origin=Origin(mask, "12-34.5"))
    return MetricsRow(item, (3, 4), "ok", values, counts)


def journaled(output):
    """The rows of a journal by mask; of rows of one mask the last."""
    lines = [Path(path).read_text().splitlines() for path in journal_files(str(output))]
    return newest(map(from_line, itertools.chain(*lines)))
