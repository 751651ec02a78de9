"""Rows and failures as files of lines: each once, in the order of their keys."""

import json

import apache_beam as beam
import pytest

from pipeline.failures import Failure
from pipeline.records import Item, MetricsRow
from pipeline.stages import rows as rows_stage
from pipeline.stages.rows import WriteLines
from tests.pipeline.shard_files import files_below


def row(number):
    return MetricsRow(Item(f"{number}\n", "m"), (1, 2), "ok", {"n": number})


def test_lines_hold_every_record_once_in_the_order_of_their_keys(tmp_path):
    failure = Failure("a", "read", "b", "c")
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        rows = pipeline | "Rows" >> beam.Create([row(number) for number in range(20)])
        rows | "WriteRows" >> WriteLines(str(tmp_path), "metrics")
        failures = pipeline | "Failures" >> beam.Create([failure])
        failures | "WriteFailures" >> WriteLines(str(tmp_path), "failures")
        pipeline | "None" >> beam.Create([]) | "WriteNone" >> WriteLines(str(tmp_path), "none")
    names = [f"{name}/{name}-00000-of-00001.jsonl" for name in ("failures", "metrics", "none")]
    assert files_below(tmp_path) == names
    lines = [json.loads(line) for line in (tmp_path / names[1]).read_text().splitlines()]
    assert [line["key"] for line in lines] == sorted(f"{number}\n" for number in range(20))
    assert sorted(line["n"] for line in lines) == list(range(20))
    assert (tmp_path / names[0]).read_text() == failure.to_json() + "\n"
    assert (tmp_path / names[2]).read_text() == ""


@pytest.mark.parametrize("key", ["plain", "\u2028\n"])
def test_many_lines_are_parted_into_files_of_about_a_size(tmp_path, monkeypatch, key):
    monkeypatch.setattr(rows_stage, "LINES", 10)
    failures = [Failure(f"{key}{number}", "read", "b", "c") for number in range(95)]
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        pipeline | beam.Create(failures) | WriteLines(str(tmp_path), "failures")
    names = [f"failures/failures-{number:05d}-of-00010.jsonl" for number in range(10)]
    assert files_below(tmp_path) == names
    files = [(tmp_path / name).read_text().splitlines() for name in names]
    assert all(lines == sorted(lines) for lines in files) and max(map(len, files)) < 30
    assert sorted(line for lines in files for line in lines) == sorted(
        failure.to_json() for failure in failures
    )
