"""Rows of metrics, against the metrics called directly."""

import io
import json

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.testing.util import assert_that, equal_to
from PIL import Image

from model.metrics.data_set import DatasetStatistics
from model.metrics.pair import compare, describe_mask
from pipeline.records import Failure, ImageRecord
from pipeline.stages.score import MergeRows, ScoreMasks, score


def png(array):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def pair(seed, shape=(6, 9)):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, shape, dtype=np.uint8), rng.random(shape) < 0.4


def row_of(key, mask, prediction, truth):
    return score(ImageRecord(key, mask, b"", truth, "c"), prediction)


def test_with_truth_a_row_holds_both_sets_of_figures_and_the_curves():
    prediction, truth = pair(0)
    row = row_of("a.jpg", "masks/a.png", prediction, png(truth))
    expected = compare(prediction, truth)
    assert row.values == {**describe_mask(prediction), **expected.values}
    np.testing.assert_array_equal(row.f_curve, expected.f_curve)
    np.testing.assert_array_equal(row.e_curve, expected.e_curve)
    assert (row.key, row.mask, row.size, row.status) == ("a.jpg", "masks/a.png", (9, 6), "ok")
    assert row.content == "c"


def test_without_truth_a_row_holds_the_description_only():
    prediction, _ = pair(1)
    row = row_of("a", "m", prediction, None)
    assert row.values == describe_mask(prediction)
    assert row.status == "ok" and row.f_curve is None and row.e_curve is None


@pytest.mark.parametrize(
    ("truth", "reason"),
    [
        (b"", "empty"),
        (b"text", "not_an_image"),
        (png(np.zeros((50, 50), np.uint8))[:60], "broken"),
        (png(np.zeros((9, 6), np.uint8)), "truth_size"),
        (Failure("a", "read", "too_large", "a file of over 256 MiB"), "too_large"),
    ],
)
def test_a_truth_that_cannot_be_used_leaves_a_row_that_says_why(truth, reason):
    prediction, _ = pair(2)
    row = row_of("a", "m", prediction, truth)
    assert row.status == "bad_truth"
    error = row.values["truth_error"]
    assert error.startswith(f"{reason}: ") and len(error) > len(reason) + 5
    assert {**row.values, "truth_error": None} == {
        **describe_mask(prediction),
        "truth_error": None,
    }
    assert row.f_curve is None
    json.loads(row.to_json())


def test_the_stage_scores_pairs_and_names_what_it_cannot_score():
    (prediction, truth), (other, _) = pair(3), pair(4)
    records = [
        ImageRecord("a", "in/a.png", png(prediction), png(truth)),
        ImageRecord("b", "in/b.png", png(other), b"text"),
        ImageRecord("c", "in/c.png", b"text", png(truth)),
        ImageRecord("d", "in/d.png", b"", png(truth)),
    ]
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        scored = pipeline | beam.Create(records) | ScoreMasks()

        def check_rows(rows):
            by_key = {row.key: row for row in rows}
            assert len(rows) == len(by_key) == 2
            expected = compare(prediction, truth).values
            assert by_key["a"].values == {**describe_mask(prediction), **expected}
            assert (by_key["a"].mask, by_key["a"].status) == ("in/a.png", "ok")
            assert by_key["b"].status == "bad_truth"

        def check_failures(failures):
            assert sorted((one.key, one.stage, one.reason) for one in failures) == [
                ("c", "decode", "not_an_image"),
                ("d", "decode", "empty"),
            ]

        assert_that(scored.rows, check_rows, label="rows")
        assert_that(scored.failures, check_failures, label="failures")


def test_a_truth_that_breaks_the_metrics_costs_the_row_only_their_figures(monkeypatch):
    def compare_or_die(*_):
        raise ArithmeticError("no number")

    monkeypatch.setattr("pipeline.stages.score.compare", compare_or_die)
    prediction, truth = pair(5)
    row = row_of("a", "m", prediction, png(truth))
    assert row.status == "bad_truth"
    assert row.values == {
        **row_of("a", "m", prediction, None).values,
        "truth_error": "ArithmeticError: no number",
    }


def test_an_image_that_breaks_the_description_is_one_failure(monkeypatch):
    def describe_or_die(prediction):
        if prediction.max() == 0:
            raise ArithmeticError("no number")
        return {"empty": False}

    monkeypatch.setattr("pipeline.stages.score.describe_mask", describe_or_die)
    black, white = np.zeros((3, 4), np.uint8), np.full((3, 4), 255, np.uint8)
    records = [
        ImageRecord("a", "in/a.png", png(black)),
        ImageRecord("b", "in/b.png", png(white)),
    ]
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        scored = pipeline | beam.Create(records) | ScoreMasks()
        failures = scored.failures | beam.Map(lambda one: (one.key, one.stage, one.reason))
        assert_that(failures, equal_to([("a", "score", "ArithmeticError")]), label="failures")
        keys = scored.rows | "Keys" >> beam.Map(lambda row: row.key)
        assert_that(keys, equal_to(["b"]), label="rows")


def test_merging_in_any_bundles_equals_adding_the_rows_one_by_one():
    rows = [row_of(str(n), "m", pair(n)[0], png(pair(n)[1]) if n % 3 else None) for n in range(9)]
    rows.append(row_of("bad", "m", pair(20)[0], b"text"))
    expected = DatasetStatistics.empty()
    for row in rows:
        expected = expected.add_row(row.values, row.f_curve, row.e_curve)
    combine = MergeRows()
    parts = []
    for bundle in (rows[:4], [], rows[4:5], rows[5:]):
        part = combine.create_accumulator()
        for row in bundle:
            part = combine.add_input(part, row)
        parts.append(part)
    merged = combine.extract_output(combine.merge_accumulators(parts[::-1]))
    assert merged == expected
    result = merged.result()
    assert (result["images"], result["with_truth"]) == (10, 6)
    with_truth = [row.values["mae"] for row in rows if "mae" in row.values]
    assert result["metrics"]["mae"] == pytest.approx(np.mean(with_truth))
