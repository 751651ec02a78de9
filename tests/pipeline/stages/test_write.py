"""Masks, rows and the summary on storage: right, and whole or not at all."""

import io
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.testing.util import assert_that, equal_to
from PIL import Image

from model.metrics.data_set import DatasetStatistics
from model.metrics.pair import compare, describe_mask
from pipeline.records import Failure, ImageRecord, MetricsRow, Prediction
from pipeline.stages import threads as ahead
from pipeline.stages import write
from pipeline.stages.score import score_record
from pipeline.stages.write import (
    WriteLines,
    WriteMasks,
    encode_mask,
    full_size_mask,
    write_mask,
    write_summary,
)


def smooth(size=8, seed=0):
    return np.random.default_rng(seed).random((size, size)).astype(np.float32)


def enlarged(values, width, height):
    """Bilinear interpolation between pixel centres, edges held; a plain loop."""
    rows, columns = values.shape
    result = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            v = min(max((y + 0.5) * rows / height - 0.5, 0), rows - 1)
            u = min(max((x + 0.5) * columns / width - 0.5, 0), columns - 1)
            top, left = int(v), int(u)
            below, right = min(top + 1, rows - 1), min(left + 1, columns - 1)
            b, a = v - top, u - left
            upper = values[top, left] * (1 - a) + values[top, right] * a
            lower = values[below, left] * (1 - a) + values[below, right] * a
            result[y, x] = upper * (1 - b) + lower * b
    return result


# Maps to masks


@pytest.mark.parametrize("size", [(8, 8), (16, 16), (20, 31), (64, 9)])
def test_a_map_is_enlarged_by_bilinear_interpolation(size):
    probability = smooth()
    mask = full_size_mask(probability, size, None)
    assert mask.dtype == np.uint8 and mask.shape == size[::-1]
    expected = enlarged(probability.astype(float), *size) * 255
    assert np.abs(mask - expected).max() <= 0.51


@pytest.mark.parametrize("size", [(40, 31), (31, 40), (3, 5), (500, 3)])
@pytest.mark.parametrize("band", [1, 200, 1000])
@pytest.mark.parametrize("threshold", [None, 0.5])
def test_a_mask_made_in_bands_is_the_one_made_at_once(monkeypatch, size, band, threshold):
    probability = smooth(seed=3)
    monkeypatch.setattr(write, "BAND", 1 << 20)
    whole = full_size_mask(probability, size, threshold)
    monkeypatch.setattr(write, "BAND", band)
    difference = np.abs(full_size_mask(probability, size, threshold).astype(int) - whole)
    # The last bit of an interpolation may differ, and with it a rounding here and there.
    assert (difference > (threshold is None)).mean() <= 0.001


def test_a_wide_flat_mask_takes_no_more_than_its_pixels(monkeypatch):
    """A map of 192 rows as wide as the image would take gigabytes, in one pass of Pillow's."""
    pixels, resize = [], Image.Image.resize

    def spy(image, size, *args):
        # Columns first, as Pillow does it, for the rows that are there.
        pixels.append(size[0] * image.height)
        return resize(image, size, *args)

    monkeypatch.setattr(Image.Image, "resize", spy)
    small = np.random.default_rng(4).random((192, 192)).astype(np.float32)
    assert full_size_mask(small, (2_000_000, 1), None).shape == (1, 2_000_000)
    assert max(pixels) <= 2_000_000


def test_a_map_of_the_images_size_is_only_rounded():
    probability = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)
    mask = full_size_mask(probability, (16, 16), None)
    np.testing.assert_array_equal(mask.ravel(), np.arange(256))


@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (300, 2), (16, 16)])
@pytest.mark.parametrize("value", [0.0, 0.25, 0.5, 1.0])
def test_a_constant_map_stays_constant_and_is_never_stretched(size, value):
    mask = full_size_mask(np.full((16, 16), value, np.float32), size, None)
    assert mask.shape == size[::-1]
    assert np.abs(mask.astype(float) - 255 * value).max() <= 0.51


def test_making_it_smaller_averages():
    probability = np.zeros((8, 8), np.float32)
    probability[:, 4:] = 1
    assert full_size_mask(probability, (1, 1), None).tolist() == [[128]]


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.9])
def test_the_threshold_is_applied_at_full_size_to_what_reaches_it(threshold):
    probability = smooth(seed=1)
    mask = full_size_mask(probability, (24, 17), threshold)
    assert mask.dtype == np.uint8 and set(np.unique(mask)) <= {0, 255}
    expected = enlarged(probability.astype(float), 24, 17)
    clear = np.abs(expected - threshold) > 1e-5
    assert clear.mean() > 0.9
    np.testing.assert_array_equal((mask == 255)[clear], (expected >= threshold)[clear])


def test_exactly_the_threshold_is_foreground():
    half = np.full((4, 4), 0.5, np.float32)
    assert (full_size_mask(half, (4, 4), 0.5) == 255).all()
    assert (full_size_mask(half, (4, 4), 0.50001) == 0).all()
    assert (full_size_mask(np.ones((4, 4), np.float32), (9, 9), 1.0) == 255).all()


@pytest.mark.parametrize("shape", [(1, 1), (7, 13), (40, 3)])
def test_an_encoded_mask_comes_back_as_it_was(shape):
    gray = np.random.default_rng(2).integers(0, 256, shape, dtype=np.uint8)
    image = Image.open(io.BytesIO(encode_mask(gray, binary=False)))
    assert (image.format, image.mode) == ("PNG", "L")
    np.testing.assert_array_equal(np.asarray(image), gray)
    binary = np.where(gray > 99, np.uint8(255), np.uint8(0))
    image = Image.open(io.BytesIO(encode_mask(binary, binary=True)))
    assert (image.format, image.mode) == ("PNG", "1")
    np.testing.assert_array_equal(np.asarray(image.convert("L")), binary)


def files_below(folder):
    return sorted(
        str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file()
    )


# Stages


def png(array):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("threshold", [None, 0.5])
def test_the_stage_writes_each_mask_and_scores_what_it_wrote(tmp_path, threshold):
    truth = np.random.default_rng(5).random((9, 12)) < 0.3
    predictions = [
        Prediction("a.jpg", "masks/c/a.png", smooth(seed=1), (12, 9), png(truth)),
        Prediction("b.jpg", "masks/b.png", smooth(seed=2), (5, 4), None),
        Prediction("bad.jpg", "masks/bad.png", smooth(seed=3), (5, 4), b"text"),
        # Where its folder should be there is a file.
        Prediction("c.jpg", "masks/file/c.png", smooth(seed=4), (5, 4), None),
    ]
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "file").write_bytes(b"")
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        written = pipeline | beam.Create(predictions) | WriteMasks(str(tmp_path), threshold, 2)

        def check(rows):
            found = {row.key: row for row in rows}
            assert {key: row.status for key, row in found.items()} == {
                "a.jpg": "ok",
                "b.jpg": "ok",
                "bad.jpg": "bad_truth",
            }
            for one in predictions[:3]:
                mask = np.asarray(Image.open(tmp_path / one.mask).convert("L"))
                np.testing.assert_array_equal(
                    mask, full_size_mask(one.probability, one.size, threshold)
                )
                row = found[one.key]
                assert (row.mask, row.size) == (one.mask, one.size)
                expected = describe_mask(mask)
                assert {key: row.values[key] for key in expected} == expected
            mask = np.asarray(Image.open(tmp_path / "masks/c/a.png").convert("L"))
            expected = compare(mask, truth).values
            assert {key: found["a.jpg"].values[key] for key in expected} == expected

        assert_that(written.rows, check, label="rows")
        failures = written.failures | beam.Map(lambda one: (one.key, one.stage))
        assert_that(failures, equal_to([("c.jpg", "write")]), label="failures")
    assert files_below(tmp_path) == ["masks/b.png", "masks/bad.png", "masks/c/a.png", "masks/file"]


def free_for_others():
    """Whether another thread gets the room for a large image."""
    with ThreadPoolExecutor(1) as pool:
        got = pool.submit(ahead._large.acquire, timeout=1).result()
        if got:
            pool.submit(ahead._large.release).result()
    return got


def test_a_large_image_that_waits_for_its_turn_keeps_no_other_from_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(ahead, "LARGE_PIXELS", 10)
    prediction = Prediction("a.jpg", "masks/a.png", smooth(), (30, 20), None)
    results = write_mask(prediction, str(tmp_path), None)
    assert isinstance(next(results), MetricsRow)
    # Here a thread gives its turn back, and waits for the next.
    assert free_for_others()
    results = score_record(ImageRecord("a.png", "a.png", (tmp_path / "masks/a.png").read_bytes()))
    assert isinstance(next(results), MetricsRow)
    assert free_for_others()


def test_lines_hold_every_record_once(tmp_path):
    rows = [MetricsRow(f"{n}\n", "m", (1, 2), "ok", {"n": n}) for n in range(20)]
    failures = [Failure("a", "read", "b", "c")]
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        pipeline | "A" >> beam.Create(rows) | "B" >> WriteLines(str(tmp_path), "metrics")
        pipeline | "C" >> beam.Create(failures) | "D" >> WriteLines(str(tmp_path), "failures")
        pipeline | "E" >> beam.Create([]) | "F" >> WriteLines(str(tmp_path), "none")
    (path,) = (tmp_path / "metrics").glob("metrics-*-of-*.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["key"] for line in lines] == sorted(f"{n}\n" for n in range(20))
    assert sorted(line["n"] for line in lines) == list(range(20))
    assert {line["key"] for line in lines} == {row.key for row in rows}
    (path,) = (tmp_path / "failures").glob("failures-*.jsonl")
    assert path.read_text() == failures[0].to_json() + "\n"
    (path,) = (tmp_path / "none").glob("none-*.jsonl")
    assert path.read_text() == ""


# The summary


def test_the_summary_counts_masks_and_failures_and_keeps_the_statistics(tmp_path):
    prediction = np.array([[255, 0]], np.uint8)
    truth = np.array([[True, False]])
    comparison = compare(prediction, truth)
    statistics = (
        DatasetStatistics.empty()
        .add_row(
            {**describe_mask(prediction), **comparison.values},
            comparison.f_curve,
            comparison.e_curve,
        )
        .add_row(describe_mask(prediction * np.uint8(0)))
    )
    write_summary(statistics, {"too_large": 2, "broken": 1}, 4, str(tmp_path))
    assert files_below(tmp_path) == ["summary.json"]
    text = (tmp_path / "summary.json").read_text()
    summary = json.loads(text)
    assert text.endswith("}\n")
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
    assert list(summary["failures"]) == ["broken", "too_large"]
    assert summary["metrics"]["mae"] == 0 and summary["metrics"]["iou"] == 1
    assert summary["metrics"]["images"] == 1


def test_the_summary_of_nothing_is_all_zeros_without_metrics(tmp_path):
    write_summary(DatasetStatistics.empty(), {}, 0, str(tmp_path))
    summary = json.loads((tmp_path / "summary.json").read_text())
    counts = ("images", "masks", "failed", "bad_truths", "empty_masks", "with_truth")
    assert [summary[key] for key in counts] == [0] * 6
    assert summary["failures"] == {} and "metrics" not in summary
    assert summary["foreground_fraction"] is None
