"""Which masks are worth a human's look first; ``docs/report.md`` has the score and its worth."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pipeline.output_layout import REVIEW
from pipeline.records import MetricsRow

# Images of the list.
MOST = 1000
# From this share of the image on, foreground is named as a reason.
NEARLY_FULL = 0.9
FIGURES = (
    "foreground_fraction",
    "uncertain_fraction",
    "mean_confidence",
    "components",
    "touches_border",
    "empty",
)
COLUMNS = ("rank", "key", "mask", "overlay", "score", "why", *FIGURES)


class Judgement(NamedTuple):
    """How much a mask is worth a look.

    Attributes:
        score: In [0, 1], more for what is more likely wrong.
        why: The reasons, in words.
    """

    score: float
    why: str


def judge(values: Mapping[str, Any]) -> Judgement:
    """Judges a mask by the figures of its row.

    The score is u / (u + f): of foreground and doubt, the share of doubt. f is the share of pixels
    that are foreground, u of those that are uncertain. The same doubt is worse for a small object.
    An empty mask has the score 1.
    """
    foreground, uncertain = values["foreground_fraction"], values["uncertain_fraction"]
    score = 1.0 if values["empty"] else uncertain / (uncertain + foreground)
    reasons = []
    if values["empty"]:
        reasons.append("no foreground")
    elif uncertain:
        reasons.append(f"{score:.0%} of foreground and doubt is doubt")
    if foreground >= NEARLY_FULL:
        reasons.append("nearly all is foreground")
    if values["components"] > 1:
        reasons.append(f"{values['components']} parts")
    if values["touches_border"]:
        reasons.append("reaches the border")
    if guess := values.get("guess"):
        reasons.append(guess)
    return Judgement(score, "; ".join(reasons))


def order(row: MetricsRow) -> tuple:
    """What the list is sorted by: the score, then parts, then the name.

    Binary masks hold no doubt, so that parts decide.
    """
    return -judge(row.values).score, -row.values["components"], row.key, row.item.mask


def overlay_name(rank: int) -> str:
    """Path of the overlay of an image of the list, below the output folder."""
    return f"{REVIEW}/{rank:06d}.jpg"


def encode_list(rows: Sequence[MetricsRow], overlays: int) -> bytes:
    """The review list as CSV.

    Args:
        rows: The rows, in their order.
        overlays: So many of the first have an overlay.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for rank, row in enumerate(rows, 1):
        score, why = judge(row.values)
        overlay = overlay_name(rank) if rank <= overlays else ""
        figures = (_cell(row.values[name]) for name in FIGURES)
        writer.writerow([rank, row.key, row.item.mask, overlay, f"{score:.4f}", why, *figures])
    return text.getvalue().encode(errors="backslashreplace")


def _cell(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value
