"""The comparison of two outputs as one HTML file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.records import MetricsRow
from pipeline.report.charts import histograms
from pipeline.report.compare import Comparison, Pair
from pipeline.report.contents import Contents
from pipeline.report.figures import DISTRIBUTIONS
from pipeline.report.page import fill
from pipeline.report.pictures import Pictures
from pipeline.report.review import judge
from pipeline.report.shown import (
    Column,
    data_address,
    script_data,
    script_row,
    shown_image,
    shown_text,
    text_of,
)

GALLERIES = {
    "worse": ("Got worse", "IoU fell most"),
    "better": ("Got better", "IoU rose most"),
    "changed": ("Changed most", "the share of foreground changed most"),
    "doubt": ("More doubtful", "the share of doubt rose most"),
    "sure": ("Less doubtful", "the share of doubt fell most"),
}
VIEWS = {
    "overlay": [("photo", ""), ("mask", "tint")],
    "overlay_second": [("photo", ""), ("mask_second", "tint")],
    "photo": [("photo", "")],
    "mask": [("mask", "white")],
    "mask_second": [("mask_second", "white")],
    "truth": [("truth", "white")],
    "errors": [("photo", "dim"), ("errors", "")],
    "errors_second": [("photo", "dim"), ("errors_second", "")],
}
LARGE = [
    ("overlay", "First over photo"),
    ("overlay_second", "Second over photo"),
    ("photo", "Photo"),
    ("truth", "Truth"),
    ("errors", "Hits and misses: first"),
    ("errors_second", "Hits and misses: second"),
]
PANES = [("photo", "input"), ("truth", "truth"), ("mask", "first"), ("mask_second", "second")]
FIGURES = (
    Column("foreground_fraction", "Foreground", "share of the image that is foreground", -1),
    Column("doubt", "Doubt", "doubt / (doubt + foreground)", 3),
)
OF_TRUTH = (Column("iou", "IoU", "intersection over union with the truth", 3),)

# An image of the comparison, and its pictures in both outputs.
Shown = tuple[Pair, Pictures, Pictures]


def render_comparison(
    first: Contents, second: Contents, compared: Comparison, shown: Mapping[str, Shown]
) -> bytes:
    """The page.

    Args:
        first: What the first output says of itself.
        second: Likewise the second.
        compared: How they differ.
        shown: The images of the galleries, by key.
    """
    names = [shown_text(one.run.job.output) for one in (first, second)]
    return fill(
        "compare.html",
        title=f"{names[0]} and {names[1]}",
        names=names,
        models=[_model(one) for one in (first, second)],
        tiles=_tiles(compared),
        means=_means(first, second),
        charts=[
            {"title": one.title, "first": one, "second": other}
            for one in histograms(first.figures)
            for other in histograms(second.figures)
            if one.title == other.title
        ],
        **_images(compared, shown),
    )


def keys_of(compared: Comparison) -> dict[str, Pair]:
    """The pairs of all galleries, by key."""
    tops = compared.tops.values()
    return {pair.first["key"]: pair for top in tops for pair in top.elements()}


def _images(compared: Comparison, shown: Mapping[str, Shown]) -> dict[str, Any]:
    figures = FIGURES + (OF_TRUTH if compared.measured else ())
    columns = [column for one in figures for column in _three(one)]
    places = {
        name: {pair.first["key"]: n for n, pair in enumerate(top.elements())}
        for name, top in compared.tops.items()
    }
    images, script = [], []
    for key, (pair, one, other) in shown.items():
        pictures = {
            "photo": data_address(one.photo or other.photo),
            "mask": data_address(one.mask),
            "mask_second": data_address(other.mask),
            "truth": data_address(one.truth or other.truth),
            "errors": data_address(one.errors),
            "errors_second": data_address(other.errors),
        }
        image = shown_image(key, _values(pair, figures), columns, pictures)
        image["brief"] = [_brief(pair)]
        images.append(image)
        where = {name: ranks[key] for name, ranks in places.items() if key in ranks}
        drawn = Pictures(one.size, troubles=tuple(dict.fromkeys(one.troubles + other.troubles)))
        script.append(script_row(image, drawn, "", where))
    galleries = [
        {"name": name, "title": title, "says": says, "count": len(places[name])}
        for name, (title, says) in GALLERIES.items()
        if places[name]
    ]
    split = ("mask", "mask_second")
    data = script_data(script, columns, VIEWS, LARGE, PANES, split) | {"sides": ["first", "second"]}
    return {
        "images_title": "Images",
        "images_says": f"{len(images)} of {compared.both:,} images that are in both outputs.",
        "galleries": galleries,
        "shown": images,
        "columns": columns,
        "has_panes": True,
        "left_of_slider": "first",
        "right_of_slider": "second",
        "rows_for_script": data,
    }


def _three(one: Column) -> list[Column]:
    """A figure in both outputs, and how it changed."""
    return [
        Column(f"{one.name}_first", f"{one.title}, first", one.says, one.digits),
        Column(f"{one.name}_second", f"{one.title}, second", one.says, one.digits),
        Column(f"{one.name}_change", f"{one.title}, change", "second less first", one.digits),
    ]


def _values(pair: Pair, figures: tuple[Column, ...]) -> dict[str, float | None]:
    first, second = (row | {"doubt": judge(row).score} for row in pair)
    values = {}
    for one in figures:
        values[f"{one.name}_first"] = first.get(one.name)
        values[f"{one.name}_second"] = second.get(one.name)
        values[f"{one.name}_change"] = Pair(first, second).change(one.name)
    return values


def _brief(pair: Pair) -> str:
    name, title, digits = ("iou", "IoU", 3)
    if pair.change("iou") is None:
        name, title, digits = ("foreground_fraction", "foreground", -1)
    before, after = (text_of(row.get(name), digits) for row in pair)
    return f"{title} {before} → {after}"


def _tiles(compared: Comparison) -> list[dict]:
    tiles = {"In both": compared.both}
    if compared.measured:
        same = compared.measured - compared.better - compared.worse
        tiles |= {"Better": compared.better, "Worse": compared.worse, "The same": same}
    tiles |= {"Only in the first": compared.only[0], "Only in the second": compared.only[1]}
    return [{"title": title, "value": f"{n:,}", "alarm": False} for title, n in tiles.items()]


def _means(first: Contents, second: Contents) -> list[dict]:
    rows = []
    for one in DISTRIBUTIONS:
        before, after = first.figures.mean(one.name), second.figures.mean(one.name)
        if before is not None and after is not None:
            texts = [text_of(value, 4) for value in (before, after)]
            change = f"{after - before:+.4f}"
            rows.append({"title": one.title, "values": texts, "change": change})
    return rows


def _model(contents: Contents) -> str:
    job = contents.run.job
    what = "masks of another program" if job.masks is not None else shown_text(job.model)
    return f"{what}, {contents.figures.images:,} masks, {contents.run.day}"


def rows_to_draw(
    pairs: Mapping[str, Pair], rows: Mapping[str, MetricsRow], number: int
) -> list[MetricsRow]:
    """Rows of the pairs in the first output (number 0) or in the second (1), from its journal."""
    return [rows[pair[number]["mask"]] for pair in pairs.values()]
