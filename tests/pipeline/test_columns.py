"""The table of columns, docs/schema.md and what jobs write say the same."""

import json
import math
from pathlib import Path

import apache_beam as beam
import numpy as np
import pytest
from PIL import Image

from pipeline.build import build
from pipeline.columns import (
    ALWAYS,
    BOX_TYPE,
    FAILURES,
    METRICS,
    NUMBER,
    SUMMARY,
    TEXT,
    WHOLE,
    WITH_TRUTH,
    YES_NO,
)
from pipeline.job_settings import Job
from pipeline.storage.journal_files import start

DOCUMENT = Path(__file__).parents[2] / "docs" / "schema.md"
HEAD = "| column | type | given | unit | range | meaning |\n|---|---|---|---|---|---|\n"


def table(columns):
    """The table of columns as Markdown."""
    rows = [
        (f"`{each.name}`", each.type, each.given, each.unit, each.range, each.source)
        for each in columns
    ]
    return HEAD + "".join(f"| {' | '.join(row)} |\n" for row in rows)


@pytest.mark.parametrize(
    ("heading", "columns"), [("metrics", METRICS), ("failures", FAILURES), ("summary", SUMMARY)]
)
def test_the_document_has_every_column_as_the_code_has_it(heading, columns):
    (part,) = [
        part for part in DOCUMENT.read_text().split("\n## ") if part.startswith(f"`{heading}")
    ]
    lines = [f"{line}\n" for line in part.splitlines() if line.startswith("|")]
    assert "".join(lines) == table(columns)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Rows, failures and summary of a job on masks with truth, one bad, one empty, one missing."""
    folder = tmp_path_factory.mktemp("job")
    rng = np.random.default_rng(0)
    for kind in ("masks", "truth"):
        (folder / kind).mkdir()
        for number in range(4):
            levels = np.zeros((30, 40), np.uint8)
            if number:
                levels[5:20, number : 20 + number] = 255
                if kind == "masks":
                    levels[5:12, 8:30] = rng.integers(0, 256, (7, 22))
            Image.fromarray(levels).save(folder / kind / f"{number}.png")
    (folder / "truth" / "3.png").write_bytes(b"no image")
    (folder / "truth" / "notes.txt").write_bytes(b"")
    (folder / "masks" / "alone.png").write_bytes(b"")
    output = folder / "out"
    job = Job(str(output), masks=f"{folder}/masks", truth=f"{folder}/truth")
    start(job)
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        build(pipeline, job)
    rows, failures = (
        [
            json.loads(line)
            for path in output.glob(f"{name}/*.jsonl")
            for line in path.read_text().splitlines()
        ]
        for name in ("metrics", "failures")
    )
    return rows, failures, json.loads((output / "summary.json").read_text())


def check(column, value):
    """Whether a value is of a column's type and in its range."""
    kinds = {TEXT: str, WHOLE: int, NUMBER: (int, float), YES_NO: bool, BOX_TYPE: list}
    assert isinstance(value, kinds[column.type]), (column.name, value)
    assert column.type in (YES_NO, TEXT) or not isinstance(value, bool)
    for number in value if column.type == BOX_TYPE else [value]:
        if column.type in (WHOLE, NUMBER, BOX_TYPE):
            least = -math.inf if column.least is None else column.least
            most = math.inf if column.most is None else column.most
            assert least <= number <= most, (column.name, value)


def test_rows_have_these_columns_in_this_order_with_values_in_range(written):
    rows, _, _ = written
    assert [row["key"] for row in rows] == ["0.png", "1.png", "2.png", "3.png"]
    columns = {each.name: each for each in METRICS}
    for row in rows:
        assert list(row) == [name for name in columns if name in row]
        for name, value in row.items():
            if value is None:
                assert name == "bounding_box" and row["empty"]
            else:
                check(columns[name], value)
        measured = {name for name in row if columns[name].given == WITH_TRUTH}
        every = {each.name for each in METRICS if each.given == WITH_TRUTH}
        assert measured == (set() if row["status"] == "bad_truth" else every)
        assert {each.name for each in METRICS if each.given == ALWAYS} <= row.keys()
    assert {name for row in rows for name in row} == columns.keys() - {"guess", "mask_shard"}


def test_failures_have_these_columns(written):
    _, failures, _ = written
    assert failures
    for row in failures:
        assert list(row) == [each.name for each in FAILURES]
        assert all(isinstance(value, str) for value in row.values())


def test_the_summary_has_these_fields(written):
    _, _, summary = written
    columns = {each.name: each for each in SUMMARY}
    found = dict(summary)
    reasons, notes = found.pop("failures"), found.pop("notes")
    measures = found.pop("metrics")
    found |= {f"metrics.{name}": value for name, value in measures.items()}
    for count in reasons.values():
        found["failures.REASON"] = count
    for case in notes.values():
        found |= {f"notes.KIND.{name}": value for name, value in case.items()}
    assert found.keys() == columns.keys()
    for name, value in found.items():
        check(columns[name], value)
