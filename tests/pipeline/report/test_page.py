"""The page: one file, bounded, and names from outside are only names."""

import json
import time
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from pipeline.failures import Failure
from pipeline.job_settings import Job
from pipeline.records import Item, MetricsRow, Origin
from pipeline.report.contents import Run, contents, from_json, versions
from pipeline.report.failed import Failed
from pipeline.report.figures import Figures
from pipeline.report.galleries import Picks
from pipeline.report.page import render
from pipeline.report.pictures import MASK_BYTES, PHOTO_BYTES, TRUTH_BYTES, Pictures
from pipeline.report.shown import shown_text
from tests.pipeline.report.rows import ROWS

EVIL = "<script>alert(1)</script>.png"
JOB = Job(f"out/{EVIL}", inputs=(f"in/{EVIL}",), model=EVIL)


class Page(HTMLParser):
    """Tags, their attributes and texts, and what the script gets."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.texts, self.inside = [], [], []
        self.feed(html.decode())
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside = [tag]

    def handle_data(self, data):
        self.texts.append((self.inside[0] if self.inside else "", data))

    def handle_endtag(self, tag):
        self.inside = []

    def script_data(self):
        return json.loads(next(text for tag, text in self.texts if tag == "script"))


def report_of(rows, failures=(), notes=None):
    figures, picks, failed = Figures(), Picks(), Failed()
    for one in rows:
        figures.add(one.values, one.size, one.status, one.level_counts)
        picks.add(one)
    for failure in failures:
        failed.add(failure)
    run = Run(JOB, "FnApiRunner", 1_000_000.0, 1_000_090.0, versions())
    return contents(run, figures, failed, notes or {}, picks.rows())


def hostile():
    rows = [replace(ROWS[4], item=replace(ROWS[4].item, key=EVIL)), *ROWS[5:20]]
    failures = [Failure(EVIL, "decode", EVIL, "<img src=x onerror=alert(1)>")]
    return report_of(rows, failures, {"files were passed over": (3, EVIL)})


def test_names_are_only_names():
    made = hostile()
    pictures = [Pictures((4, 3), troubles=(EVIL,)) for _ in made.rows()]
    page = Page(render(made, pictures))
    tags = [tag for tag, _ in page.tags]
    # The data and the script of the page itself.
    assert tags.count("script") == 2
    assert all(attributes.get("src", "data:").startswith("data:") for _, attributes in page.tags)
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    shown = "".join(text for tag, text in page.texts if tag not in ("script", "style"))
    assert shown.count(EVIL) >= 6
    assert EVIL in {row["name"] for row in page.script_data()["rows"]}


def test_nothing_outside_the_page_is_asked_for():
    html = render(hostile(), [Pictures((4, 3))] * len(hostile().rows())).decode()
    assert "default-src 'none'" in html
    for address in ("http://", "https://", "url(", "@import", "<iframe", "<object"):
        assert address not in html


def test_all_rows_of_galleries_are_cards_lines_and_data():
    made = report_of(ROWS)
    page = Page(render(made, [Pictures((4, 3), b"p", b"m", b"t", b"e")] * len(made.rows())))
    count = len(made.rows())
    assert sum(tag == "li" and "data-id" in attributes for tag, attributes in page.tags) == count
    assert sum(tag == "tr" and "data-id" in attributes for tag, attributes in page.tags) == count
    rows = page.script_data()["rows"]
    for name, gallery in made.galleries.items():
        placed = [row for row in rows if name in row["places"]]
        placed.sort(key=lambda row: row["places"][name])
        assert [row["name"] for row in placed] == [one.key for one in gallery]


def test_a_job_without_a_mask_has_a_page():
    failures = [Failure(f"{number}.jpg", "decode", "broken", "cut") for number in range(9)]
    page = Page(render(report_of([], failures), []))
    shown = " ".join(text for _, text in page.texts)
    assert "0 masks" in shown
    assert "4.jpg" in shown
    assert "5.jpg" not in shown


def many_rows(count):
    """Rows of long names, of which every gallery has enough."""
    rng = np.random.default_rng(0)
    for number in range(count):
        share, doubt = rng.random(2)
        empty = number % 7 == 0
        values = {
            "foreground_fraction": 0 if empty else share**0.1,
            "uncertain_fraction": doubt,
            "mean_confidence": 0.5 + rng.random() / 2,
            "components": 0 if empty else int(rng.integers(1, 9)),
            "bounding_box": None,
            "touches_border": bool(rng.random() < 0.5) and not empty,
            "empty": empty,
            **{name: rng.random() for name in ("mae", "iou", "boundary_iou", "s_measure")},
        }
        key = f"{number}/{'<&>' * 1500}.jpg"
        item = Item(key, f"masks/{number}.png", "c", origin=Origin(path="p.jpg"))
        yield MetricsRow(item, (4000, 3000), "ok", values)


def test_ten_thousand_images_of_the_largest_pictures_and_names_fit_in_ten_megabytes():
    made = report_of(many_rows(10_000))
    rows = made.rows()
    assert 90 < len(rows) <= 100
    largest = Pictures(
        (480, 360),
        bytes(PHOTO_BYTES),
        bytes(MASK_BYTES),
        bytes(TRUTH_BYTES),
        bytes(TRUTH_BYTES),
        ("The photo cannot be shown: " + 500 * "&",) * 3,
    )
    started = time.monotonic()
    html = render(made, [largest] * len(rows))
    assert len(html) < 10e6
    assert time.monotonic() - started < 30
    assert len(made.to_json()) < 2e6


def test_contents_come_back_from_json():
    made = hostile()
    again = from_json(made.to_json(), made.run.job.output)
    assert again.run == made.run
    assert again.galleries == made.galleries
    assert again.failures == made.failures
    assert again.notes == made.notes
    assert again.to_json() == made.to_json()
    pictures = [Pictures((4, 3))] * len(made.rows())
    assert render(again, pictures) == render(made, pictures)
    assert from_json(made.to_json(), "moved").run.job.output == "moved"


@pytest.mark.parametrize("data", [b"", b"{}", b'{"format": 0}', b'{"format": 1}', b"[]"])
def test_damaged_contents_are_refused(data):
    with pytest.raises(ValueError):
        from_json(data, "out")


def test_text_from_outside_is_printable_and_short():
    assert shown_text("a\n\x00b\u202ec") == "a\ufffd\ufffdb\ufffdc"
    assert len(shown_text("x" * 5000)) < 200
