"""Rows for tests of the journal, and what a journal holds."""

import itertools
from pathlib import Path

import numpy as np

from pipeline.records import Item, MetricsRow
from pipeline.storage.journal_files import from_line, journal_files


def row(number, content="c", curves=False):
    """A row of figures that depend on a number."""
    rng = np.random.default_rng(number)
    values = {"mae": float(rng.random()), "iou": None, "bounding_box": [1, 2, 3, 4], "empty": False}
    f_curve, e_curve = (rng.random(256), rng.random(256) / 3) if curves else (None, None)
    item = Item(f"{number}\n.jpg", f"masks/{number}.png", content)
    return MetricsRow(item, (3, 4), "ok", values, f_curve, e_curve)


def journaled(output):
    """The rows of a journal by mask; of rows of one mask the last."""
    lines = [Path(path).read_text().splitlines() for path in journal_files(str(output))]
    rows = map(from_line, itertools.chain(*lines))
    return {found.item.mask: found for found in rows}
