"""The summary: exact however rows are merged, and what it says on storage."""

import json

import apache_beam as beam
import numpy as np
import pytest

from model.metrics.counts import LevelCounts
from model.metrics.data_set import DatasetStatistics
from model.metrics.pair import compare, describe_mask
from pipeline.failures import Failure
from pipeline.records import Item, Note, Truth
from pipeline.stages.score import score
from pipeline.stages.summary import MergeRows, WriteSummary, write_summary
from tests.pipeline.encoded import encode_array
from tests.pipeline.shard_files import files_below


def row(number, truth=None):
    """A row of random pixels; truth is True for a random one, or an encoded one."""
    rng = np.random.default_rng(number)
    prediction = rng.integers(0, 256, (6, 9), dtype=np.uint8)
    encoded = encode_array(rng.random((6, 9)) < 0.4) if truth is True else truth
    return score(Item(str(number), "m", "c", encoded and Truth(encoded)), prediction)


ROWS = [*(row(number, True if number % 3 else None) for number in range(9)), row(20, b"text")]


def test_merging_in_any_bundles_equals_adding_the_rows_one_by_one():
    expected = DatasetStatistics.empty()
    for one in ROWS:
        curves = ()
        if one.level_counts is not None:
            counts = LevelCounts.from_bytes(one.level_counts)
            curves = counts.f_curve(), counts.e_curve()
        expected = expected.add_row(one.values, *curves)
    combine, parts = MergeRows(), []
    for bundle in (ROWS[:4], [], ROWS[4:5], ROWS[5:]):
        part = combine.create_accumulator()
        for one in bundle:
            part = combine.add_input(part, one)
        parts.append(part)
    merged = combine.extract_output(combine.merge_accumulators(parts[::-1]))
    assert merged == expected
    result = merged.result()
    assert (result["images"], result["with_truth"]) == (10, 6)
    with_truth = [one.values["mae"] for one in ROWS if "mae" in one.values]
    assert result["metrics"]["mae"] == pytest.approx(np.mean(with_truth))


def read(folder):
    assert files_below(folder) == ["summary.json"]
    text = (folder / "summary.json").read_text()
    assert text.endswith("}\n")
    return json.loads(text)


def test_the_stage_counts_masks_failures_by_reason_and_truths_that_are_of_no_use(tmp_path):
    reasons = ("too_large", "broken", "too_large")
    failures = [
        Failure(str(n), "index" if n == 1 else "read", reason, "")
        for n, reason in enumerate(reasons)
    ]
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        rows = pipeline | "Rows" >> beam.Create(ROWS)
        failed = pipeline | "Failures" >> beam.Create(failures)
        kinds = ("images have no ground truth", "files named *.txt are not read")
        notes = [Note(kinds[n % 2], f"{n}.jpg") for n in (7, 1, 4, 3)]
        noted = pipeline | "Notes" >> beam.Create(notes)
        after = pipeline | "After" >> beam.Create([None])
        (rows, failed, noted) | WriteSummary(str(tmp_path), after)
    summary = read(tmp_path)
    counts = ("images", "masks", "failed", "lost_shards", "bad_truths", "with_truth")
    assert [summary[name] for name in counts] == [13, 10, 3, 1, 1, 6]
    assert summary["notes"] == {
        kinds[0]: {"count": 1, "example": "4.jpg"},
        kinds[1]: {"count": 3, "example": "1.jpg"},
    }
    assert list(summary["failures"].items()) == [("broken", 1), ("too_large", 2)]
    counters = pipeline.result.metrics().query()["counters"]
    counted = {one.key.metric.name: one.committed for one in counters}
    assert counted == {"broken": 1, "too_large": 2}


def test_the_summary_keeps_the_statistics(tmp_path):
    prediction = np.array([[255, 0]], np.uint8)
    comparison = compare(prediction, np.array([[True, False]]))
    values = {**describe_mask(prediction), **comparison.values}
    statistics = (
        DatasetStatistics.empty()
        .add_row(values, comparison.counts.f_curve(), comparison.counts.e_curve())
        .add_row(describe_mask(prediction * np.uint8(0)))
    )
    write_summary(statistics, {"too_large": 2, "broken": 1}, 4, 0, {}, str(tmp_path))
    summary = read(tmp_path)
    head = {
        "images": 5,
        "masks": 2,
        "failed": 3,
        "failures": {"broken": 1, "too_large": 2},
        "bad_truths": 4,
        "empty_masks": 1,
        "with_truth": 1,
        "foreground_fraction": 0.25,
    }
    assert {key: summary[key] for key in head} == head
    assert summary["metrics"]["mae"] == 0 and summary["metrics"]["iou"] == 1
    assert summary["metrics"]["images"] == 1


def test_the_summary_of_nothing_is_all_zeros_without_metrics(tmp_path):
    write_summary(DatasetStatistics.empty(), {}, 0, 0, {}, str(tmp_path))
    summary = read(tmp_path)
    counts = ("images", "masks", "failed", "bad_truths", "empty_masks", "with_truth")
    assert [summary[key] for key in counts] == [0] * 6
    assert summary["failures"] == {} and "metrics" not in summary
    assert summary["foreground_fraction"] is None
