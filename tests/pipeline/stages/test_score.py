"""Rows of metrics, against the metrics called directly."""

import json

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.testing.util import assert_that

from model.metrics.counts import LevelCounts
from model.metrics.pair import compare, describe_mask
from pipeline.failures import Failure
from pipeline.images.open_safely import MAX_PIXELS
from pipeline.records import ImageRecord, Item, Truth
from pipeline.stages.score import ScoreMasks, score, score_stored
from tests.pipeline.encoded import encode_array


def pair(seed, shape=(6, 9)):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, shape, dtype=np.uint8), rng.random(shape) < 0.4


def item(key="a", truth=None):
    """An item with this ground truth: encoded, or a failure."""
    if truth is not None:
        truth = Truth(failure=truth) if isinstance(truth, Failure) else Truth(truth)
    return Item(key, f"in/{key}.png", "c", truth)


def test_with_truth_a_row_holds_both_sets_of_figures_and_the_curves():
    prediction, truth = pair(0)
    row = score(item("a", encode_array(truth)), prediction)
    expected = compare(prediction, truth)
    assert row.values == {**describe_mask(prediction), **expected.values}
    counts = LevelCounts.from_bytes(row.level_counts)
    np.testing.assert_array_equal(counts.foreground, expected.counts.foreground)
    np.testing.assert_array_equal(counts.background, expected.counts.background)
    # Rows are grouped, and carry no images.
    assert (row.item, row.size, row.status) == (item("a"), (9, 6), "ok")


def test_without_truth_a_row_holds_the_description_only():
    prediction, _ = pair(1)
    row = score(item(), prediction)
    assert row.values == describe_mask(prediction)
    assert row.status == "ok" and row.level_counts is None


@pytest.mark.parametrize(
    ("truth", "reason"),
    [
        (b"", "empty"),
        (b"text", "not_an_image"),
        (encode_array(np.zeros((50, 50), np.uint8))[:60], "broken"),
        (encode_array(np.zeros((9, 6), np.uint8)), "truth_size"),
        (encode_array(np.full((6, 9), 20, np.uint8)), "truth_values"),
        (Failure("a", "read", "too_large", "a file of over 256 MiB"), "too_large"),
    ],
)
def test_a_truth_that_cannot_be_used_leaves_a_row_that_says_why(truth, reason):
    prediction, _ = pair(2)
    row = score(item("a", truth), prediction)
    assert row.status == "bad_truth"
    error = row.values["truth_error"]
    assert error.startswith(f"{reason}: ") and len(error) > len(reason) + 5
    assert row.values == {**describe_mask(prediction), "truth_error": error}
    assert row.level_counts is None and row.item == item()
    json.loads(row.to_json())


def test_what_was_guessed_of_an_image_is_in_its_row():
    prediction, truth = pair(5)
    guessed = Item("a", "in/a.png", "c", Truth(encode_array(truth)), "12 bits in 16")
    line = json.loads(score(guessed, prediction).to_json())
    assert (line["status"], line["guess"]) == ("ok", "12 bits in 16")
    assert "guess" not in json.loads(score(item(), prediction).to_json())


def test_a_mask_or_a_truth_above_the_limit_of_pixels_is_refused_by_name():
    prediction, truth = pair(6)
    record = ImageRecord(item("a", encode_array(truth)), encode_array(prediction))
    assert score_stored(record, 54).result.status == "ok"
    assert score_stored(record, 53).failure.reason == "too_large"
    row = score(record.item, prediction, 53)
    assert row.status == "bad_truth" and "--max_megapixels" in row.values["truth_error"]


def test_a_mask_that_is_no_image_is_a_failure_of_decoding():
    failure = score_stored(ImageRecord(item(), b"text")).failure
    assert (failure.key, failure.stage, failure.reason) == ("a", "decode", "not_an_image")


def test_an_error_of_the_program_is_a_failure_of_scoring():
    record = ImageRecord(Item("a", "in/a.png", "c", truth=object()), encode_array(pair(3)[0]))
    failure = score_stored(record).failure
    assert (failure.key, failure.stage, failure.reason) == ("a", "score", "AttributeError")


def test_the_stage_scores_pairs_and_names_what_it_cannot_score():
    (prediction, truth), (other, _) = pair(3), pair(4)
    records = [
        ImageRecord(item("a", encode_array(truth)), encode_array(prediction)),
        ImageRecord(item("b", b"text"), encode_array(other)),
        ImageRecord(item("c", encode_array(truth)), b"text"),
        ImageRecord(item("d", encode_array(truth)), b""),
    ]

    def check_rows(rows):
        by_key = {row.key: row for row in rows}
        assert len(rows) == len(by_key) == 2
        expected = compare(prediction, truth).values
        assert by_key["a"].values == {**describe_mask(prediction), **expected}
        assert (by_key["a"].item.mask, by_key["a"].status) == ("in/a.png", "ok")
        assert by_key["b"].status == "bad_truth"

    def check_failures(failures):
        assert sorted((one.key, one.stage, one.reason) for one in failures) == [
            ("c", "decode", "not_an_image"),
            ("d", "decode", "empty"),
        ]

    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        scored = pipeline | beam.Create(records) | ScoreMasks(1, MAX_PIXELS)
        assert_that(scored.results, check_rows, label="rows")
        assert_that(scored.failures, check_failures, label="failures")
