"""The report in a pipeline: the same however rows are grouped, of files and of records."""

import csv
import json
import re

import apache_beam as beam
import numpy as np
import pytest
from PIL import Image

from pipeline.failures import Failure
from pipeline.job_settings import Job
from pipeline.records import Item, Note, Origin, Truth
from pipeline.report.__main__ import main
from pipeline.stages.report import GatherFailures, GatherRows, WriteReport, run_of
from pipeline.stages.review import FirstOfReview, FirstRows, WriteReview, write_overlays
from pipeline.stages.score import score
from tests.pipeline.encoded import encode_array


def image(folder, number):
    """A photo, its mask and its truth on disk, and the row."""
    rng = np.random.default_rng(number)
    photo = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
    mask = np.kron(rng.integers(0, 256, (3, 4)), np.ones((10, 10))).astype(np.uint8)
    truth = encode_array(mask > rng.integers(100, 150))
    files = {"photos": photo, "masks": mask}
    for name, pixels in files.items():
        (folder / name).mkdir(exist_ok=True)
        (folder / name / f"{number}.png").write_bytes(encode_array(pixels))
    (folder / "truths").mkdir(exist_ok=True)
    (folder / "truths" / f"{number}.png").write_bytes(truth)
    name = f"masks/{number}.png"
    origin = Origin(
        name, path=str(folder / f"photos/{number}.png"), truth=str(folder / f"truths/{number}.png")
    )
    return score(Item(f"{number}.png", name, "c", Truth(truth), origin=origin), mask)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("out")


@pytest.fixture(scope="module")
def rows(folder):
    return [image(folder, number) for number in range(25)]


FAILURES = [Failure(f"{n}.jpg", "decode", "broken", "cut short") for n in range(7)]


@pytest.fixture(scope="module")
def written(folder, rows):
    job = Job(str(folder), inputs=("photos",), review=4)
    with beam.Pipeline("FnApiRunner") as pipeline:
        run = run_of(pipeline, job)
        made = pipeline | "Rows" >> beam.Create(rows)
        failures = pipeline | "Failures" >> beam.Create(FAILURES)
        notes = pipeline | "Notes" >> beam.Create([Note("files were passed over", "a.txt", 2)] * 2)
        (made, failures, notes) | WriteReport(job, run)
        made | FirstOfReview() | WriteReview(job)
    return folder


def test_a_page_and_a_list_are_written(written, rows):
    page = (written / "report.html").read_text()
    data = json.loads(re.search(r'id="rows">(.*?)</script>', page, re.S)[1])
    assert len(data["rows"]) == len(rows)
    assert not any(row["troubles"] for row in data["rows"])
    assert all(row["pictures"].keys() == {"truth", "errors"} for row in data["rows"])
    assert page.count('<img class="photo"') == page.count('<img class="mask"') == len(rows)
    assert "<strong>4</strong> files were passed over" in page
    assert "<strong>7</strong> broken" in page
    with open(written / "review.csv") as file:
        lines = [*csv.DictReader(file)]
    assert len(lines) == len(rows)
    scores = [float(line["score"]) for line in lines]
    assert scores == sorted(scores, reverse=True)
    overlays = [line["overlay"] for line in lines]
    assert overlays == [f"review/{n:06d}.jpg" if n < 5 else "" for n in range(1, len(rows) + 1)]
    for line in lines[:4]:
        with Image.open(written / line["overlay"]) as overlay:
            assert (overlay.format, overlay.size) == ("JPEG", (40, 30))


def test_an_overlay_that_cannot_be_drawn_is_said(written, rows, tmp_path):
    job = Job(str(tmp_path), review=2)
    lay = [(1, rows[0])]
    (note,) = write_overlays(lay, job)
    assert (note.tag, note.value.example) == ("notes", rows[0].key)
    assert note.value.kind == "overlays of review/ are missing: FileNotFoundError"


def test_the_command_makes_the_same_page_again(written, capsys):
    before = (written / "report.html").read_bytes()
    (written / "report.html").unlink()
    assert main([str(written)]) == 0
    assert (written / "report.html").read_bytes() == before
    assert capsys.readouterr().out == f"{written}/report.html\n"


def test_photos_that_are_gone_are_said(written, capsys):
    (written / "photos" / "3.png").rename(written / "moved.png")
    try:
        assert main([str(written)]) == 0
    finally:
        (written / "moved.png").rename(written / "photos" / "3.png")
    page = (written / "report.html").read_text()
    assert "The photo cannot be shown: " in page
    assert page.count('<img class="photo"') == 24


def test_an_output_without_a_report_says_so(tmp_path, capsys):
    assert main([str(tmp_path)]) == 1
    assert "holds no journal/report.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("combine", "what"),
    [(GatherRows(), "rows"), (GatherFailures(), "failures"), (FirstRows(7), "rows")],
)
def test_any_grouping_gathers_the_same(combine, what, rows):
    elements = rows if what == "rows" else FAILURES

    def gathered(groups):
        parts = []
        for group in groups:
            part = combine.create_accumulator()
            for one in group:
                part = combine.add_input(part, one)
            parts.append(combine.compact(part))
        return plain(combine.extract_output(combine.merge_accumulators(parts)))

    whole = gathered([elements])
    for seed in range(4):
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(elements))
        cuts = np.sort(rng.integers(0, len(elements), 3))
        groups = [[elements[n] for n in part] for part in np.split(order, cuts)]
        assert gathered(groups) == whole


def plain(gathered):
    if isinstance(gathered, tuple):
        figures, picks = gathered
        return figures.to_json(), picks.rows()
    return gathered.by_reason() if hasattr(gathered, "by_reason") else gathered
