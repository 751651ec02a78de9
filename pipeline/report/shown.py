"""The images that a page shows, as its templates and its script take them."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.records import MetricsRow
from pipeline.report.pictures import Pictures
from pipeline.report.review import judge

# Characters of a name that are shown.
NAME_LENGTH = 160
# Views of an image: pictures from below, each with its class in the style sheet.
VIEWS = {
    "overlay": [("photo", ""), ("mask", "tint")],
    "photo": [("photo", "")],
    "mask": [("mask", "white")],
    "truth": [("truth", "white")],
    "errors": [("photo", "dim"), ("errors", "")],
}
LARGE = [
    ("overlay", "Mask over photo"),
    ("photo", "Photo"),
    ("mask", "Mask"),
    ("truth", "Truth"),
    ("errors", "Hits and misses"),
]
PANES = [("photo", "input"), ("truth", "truth"), ("mask", "mask"), ("errors", "hits and misses")]


@dataclass(frozen=True)
class Column:
    """A column of the table of images.

    Attributes:
        name: Of the figure.
        title: What it is called.
        says: What it is, in a few words.
        digits: Behind the point; -1 for shares in percent, 0 for whole numbers.
    """

    name: str
    title: str
    says: str
    digits: int


COLUMNS = (
    Column("doubt", "Doubt", "score of the review list: doubt / (doubt + foreground)", 3),
    Column("foreground_fraction", "Foreground", "share of the image that is foreground", -1),
    Column("uncertain_fraction", "Uncertain", "share of the image between 0.1 and 0.9", -1),
    Column("mean_confidence", "Confidence", "mean of max(p, 1 - p)", 3),
    Column("components", "Parts", "connected parts of the foreground", 0),
    Column("megapixels", "Megapixels", "size of the image", 2),
)
TRUTH_COLUMNS = (
    Column("iou", "IoU", "intersection over union with the truth", 3),
    Column("mae", "MAE", "mean absolute error; lower is better", 3),
    Column("s_measure", "S", "S-measure", 3),
    Column("f_max", "F max", "largest F-measure", 3),
    Column("boundary_iou", "Boundary IoU", "IoU of the boundaries", 3),
)


def shown_image(
    key: str,
    values: Mapping[str, float | None],
    columns: Sequence[Column],
    pictures: Mapping[str, str],
) -> dict:
    """An image as templates take it."""
    texts = {one.name: text_of(values.get(one.name), one.digits) for one in columns}
    brief = [f"foreground {texts.get('foreground_fraction', '')}"]
    brief += [f"IoU {texts['iou']}"] if texts.get("iou") else []
    return {
        "name": shown_text(key),
        "short": shown_text(key.rpartition("/")[2]),
        "pictures": pictures,
        "values": {one.name: values.get(one.name) for one in columns},
        "texts": texts,
        "brief": brief,
    }


def script_row(shown: Mapping, drawn: Pictures, why: str, places: Mapping[str, int]) -> dict:
    """An image as the page's script takes it; photo and mask are in the page already."""
    pictures = shown["pictures"].items()
    return {
        "name": shown["name"],
        "places": places,
        "values": shown["values"],
        "texts": shown["texts"],
        "pictures": {name: url for name, url in pictures if name not in ("photo", "mask") and url},
        "size": drawn.size,
        "why": f"Why look: {shown_text(why)}." if why else "",
        "troubles": [shown_text(trouble) for trouble in drawn.troubles],
    }


def script_data(
    rows: Sequence[dict], columns: Sequence[Column], views, large, panes, split: tuple[str, str]
) -> dict:
    """All that the page's script takes."""
    return {
        "rows": rows,
        "columns": [(one.name, one.title) for one in columns],
        "views": views,
        "large": large,
        "panes": panes,
        "split": split,
        "sides": split,
    }


def addresses(drawn: Pictures) -> dict[str, str]:
    """Pictures as addresses that hold them; empty for those that are missing."""
    return {
        name: data_address(getattr(drawn, name)) for name in ("photo", "mask", "truth", "errors")
    }


def data_address(picture: bytes | None) -> str:
    """A WebP as an address that holds it; empty for None."""
    return f"data:image/webp;base64,{base64.b64encode(picture).decode()}" if picture else ""


def values_of(row: MetricsRow) -> dict[str, float | None]:
    """The figures of a row, and those that are made of them."""
    size = row.size[0] * row.size[1] / 1e6
    return row.values | {"doubt": judge(row.values).score, "megapixels": size}


def shown_text(text: str) -> str:
    """Text from outside as a page shows it: printable, and of a bounded length."""
    text = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
    if len(text) <= NAME_LENGTH:
        return text
    half = NAME_LENGTH // 2
    return f"{text[:half]}…{text[-half:]}"


def text_of(value: float | None, digits: int) -> str:
    """A figure as text; empty for None."""
    if value is None:
        return ""
    return f"{value:.1%}" if digits < 0 else f"{value:.{digits}f}"
