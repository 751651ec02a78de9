"""The report as one HTML file without anything outside it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.job_settings import Job
from pipeline.report.charts import curves, histograms
from pipeline.report.contents import Contents, Run
from pipeline.report.figures import DISTRIBUTIONS, Figures
from pipeline.report.galleries import GALLERIES
from pipeline.report.pictures import Pictures
from pipeline.report.review import judge
from pipeline.report.shown import (
    COLUMNS,
    LARGE,
    PANES,
    TRUTH_COLUMNS,
    VIEWS,
    addresses,
    script_data,
    script_row,
    shown_image,
    shown_text,
    text_of,
    values_of,
)

FILES = Path(__file__).parent / "page_files"


def render(contents: Contents, pictures: Sequence[Pictures]) -> bytes:
    """The report of a job.

    Args:
        contents: What it says.
        pictures: Of ``contents.rows()``, in their order.
    """
    run = contents.run
    return fill(
        "report.html",
        title=f"Report of {shown_text(run.job.output)}",
        heading=shown_text(run.job.output),
        byline=_byline(run, contents.figures),
        tiles=_tiles(contents),
        facts=_facts(run),
        **_images(contents, pictures),
        **_charts(contents.figures),
        **_failures(contents),
    )


def fill(template: str, **values: Any) -> bytes:
    """A page from a template and what it names."""
    text = (
        _templates()
        .get_template(template)
        .render(style=_own("style.css"), script=_own("page.js"), **values)
    )
    return text.encode(errors="backslashreplace")


def _images(contents: Contents, pictures: Sequence[Pictures]) -> dict[str, Any]:
    """What ``images.html`` names."""
    figures, rows = contents.figures, contents.rows()
    columns = COLUMNS + (TRUTH_COLUMNS if figures.with_truth else ())
    ranks = {
        name: {row.item.mask: n for n, row in enumerate(gallery)}
        for name, gallery in contents.galleries.items()
    }
    shown, script = [], []
    for row, drawn in zip(rows, pictures, strict=True):
        mask = row.item.mask
        places = {name: places[mask] for name, places in ranks.items() if mask in places}
        shown.append(shown_image(row.key, values_of(row), columns, addresses(drawn)))
        script.append(script_row(shown[-1], drawn, judge(row.values).why, places))
    galleries = [
        {"name": one.name, "title": one.title, "says": one.says, "count": len(ranks[one.name])}
        for one in GALLERIES
        if ranks.get(one.name)
    ]
    most = max((gallery["count"] for gallery in galleries), default=0)
    return {
        "images_title": "Images",
        "images_says": (
            f"{len(rows)} of {figures.images:,} images: the first {most} of each gallery. Choose "
            "one to see it large."
        ),
        "galleries": galleries,
        "shown": shown,
        "columns": columns,
        "has_panes": bool(figures.with_truth),
        "left_of_slider": "photo",
        "right_of_slider": "mask",
        "rows_for_script": script_data(script, columns, VIEWS, LARGE, PANES, ("photo", "mask")),
    }


def _charts(figures: Figures) -> dict[str, Any]:
    charts = histograms(figures)
    of_truth = {one.title for one in DISTRIBUTIONS if one.needs_truth}
    return {
        "charts": [chart for chart in charts if chart.title not in of_truth],
        "charts_of_truth": [chart for chart in charts if chart.title in of_truth],
        "curves": curves(figures),
        "masks": f"{figures.images:,}",
    }


def _failures(contents: Contents) -> dict[str, Any]:
    failures = [
        {
            "reason": shown_text(reason),
            "count": f"{count:,}",
            "examples": [
                {name: shown_text(text) for name, text in asdict(one).items()} for one in examples
            ],
        }
        for reason, count, examples in contents.failures
    ]
    notes = [
        {"kind": kind, "count": f"{count:,}", "example": shown_text(example)}
        for kind, (count, example) in sorted(contents.notes.items())
    ]
    return {"failures": failures, "notes": notes}


def _tiles(contents: Contents) -> list[dict]:
    figures, run = contents.figures, contents.run

    def tile(title: str, value: str, alarm: bool = False) -> dict:
        return {"title": title, "value": value, "alarm": alarm}

    tiles = [
        tile("Images", f"{figures.images + contents.failed:,}"),
        tile("Masks", f"{figures.images:,}"),
        tile("Failures", f"{contents.failed:,}", alarm=contents.failed > 0),
        tile("Empty masks", f"{figures.empty:,}"),
        tile("At the border", f"{figures.touch_border:,}"),
    ]
    if run.seconds is not None:
        tiles.append(tile("Time", _duration(run.seconds)))
        made = run.made if run.job.resume else figures.images
        if run.job.resume and made is not None:
            tiles.append(tile("Masks of this run", f"{made:,}"))
        if made:
            tiles.append(tile("Images a second", f"{made / run.seconds:.3g}"))
    if figures.with_truth:
        tiles.append(tile("With truth", f"{figures.with_truth:,}"))
        for name, title in (("iou", "Mean IoU"), ("mae", "Mean MAE"), ("s_measure", "S-measure")):
            tiles.append(tile(title, text_of(figures.mean(name), 3)))
    if figures.bad_truths:
        tiles.append(tile("Truths of no use", f"{figures.bad_truths:,}", alarm=True))
    return tiles


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def _byline(run: Run, figures: Figures) -> str:
    job = run.job
    what = "masks of another program" if job.masks is not None else f"model {shown_text(job.model)}"
    again = ", with what an earlier run has finished" if job.resume else ""
    return f"{figures.images:,} masks, {what}, {run.day}{again}"


def _facts(run: Run) -> list[dict]:
    job, default = asdict(run.job), asdict(Job(""))
    named = ["inputs", "truth", "masks", "model", "model_content", "image_size", "engine"]
    named += ["precision", "tta", "threshold", "batch_size"]
    changed = [name for name in job if name not in named and job[name] != default[name]]
    values = {name: job[name] for name in [*named, *changed] if name != "output"}
    facts = {"output": job["output"], **values, "runner": run.runner, **run.versions}
    return [
        {"name": name.replace("_", " "), "value": _fact(value)}
        for name, value in facts.items()
        if value not in (None, (), "")
    ]


def _fact(value: object) -> str:
    if isinstance(value, list | tuple):
        more = f" and {len(value) - 5} more" if len(value) > 5 else ""
        return ", ".join(shown_text(str(one)) for one in value[:5]) + more
    return shown_text(str(value))


@functools.cache
def _templates():
    # Imported here because building a graph does without it.
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(FILES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )


def _own(name: str):
    import markupsafe

    return markupsafe.Markup((FILES / name).read_text())
