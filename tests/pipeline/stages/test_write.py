"""Masks and rows of predictions: what is scored is what was written."""

import io
import multiprocessing
import os
from dataclasses import replace

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.testing.util import assert_that, equal_to
from PIL import Image

from model.metrics.pair import compare, describe_mask
from pipeline.failures import OutputLost
from pipeline.images import memory
from pipeline.images.mask import full_size_mask
from pipeline.job_settings import Job
from pipeline.records import ImageRecord, Item, Prediction, Truth
from pipeline.stages.decode import DecodeImages
from pipeline.stages.write import WriteAndScore, write_and_score, write_mask
from pipeline.storage import errors
from tests.pipeline.encoded import encode, encode_array
from tests.pipeline.shard_files import files_below, lay


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(errors, "PAUSES", ())


def smooth(size=8, seed=0):
    return np.random.default_rng(seed).random((size, size)).astype(np.float32)


def prediction(name, size, seed=0, truth=None, mask=None):
    item = Item(f"{name}.jpg", mask or f"masks/{name}.png", "c", truth and Truth(truth))
    return Prediction(item, smooth(seed=seed), size)


def test_a_mask_is_written_at_the_size_of_its_image(tmp_path):
    one = prediction("c/a", (12, 9))
    returned, _ = write_mask(one, Job(str(tmp_path)))
    assert files_below(tmp_path) == ["masks/c/a.png"]
    written = Image.open(tmp_path / "masks/c/a.png")
    assert (written.mode, written.size) == ("L", (12, 9))
    np.testing.assert_array_equal(written, returned)
    np.testing.assert_array_equal(written, full_size_mask(one.probability, (12, 9), None))


def test_with_a_threshold_the_mask_has_one_bit_a_pixel(tmp_path):
    one = prediction("a", (12, 9))
    returned, _ = write_mask(one, Job(str(tmp_path), threshold=0.5))
    written = Image.open(tmp_path / "masks/a.png")
    assert written.mode == "1" and set(np.unique(returned)) == {0, 255}
    np.testing.assert_array_equal(written.convert("L"), returned)


def test_a_mask_that_cannot_be_written_is_a_failure_of_its_image_alone(tmp_path):
    # Where its folder should be there is a file.
    lay(tmp_path, "masks/file")
    failure = write_and_score(prediction("file/c", (5, 4)), Job(str(tmp_path))).failure
    assert (failure.key, failure.stage) == ("file/c.jpg", "write")
    assert write_and_score(prediction("b", (5, 4)), Job(str(tmp_path))).failure is None


def test_an_error_in_scoring_keeps_the_mask_and_is_a_failure(tmp_path):
    one = prediction("a", (5, 4))
    broken = Prediction(Item("a.jpg", "masks/a.png", "c", truth=object()), one.probability, (5, 4))
    failure = write_and_score(broken, Job(str(tmp_path))).failure
    assert (failure.key, failure.stage, failure.reason) == ("a.jpg", "score", "AttributeError")
    assert files_below(tmp_path) == ["masks/a.png"]


def test_what_is_wanted_beside_a_mask_is_written_under_its_name(tmp_path):
    one = prediction("c/a.b", (12, 9))
    photo = encode(Image.new("RGB", (12, 9), (200, 0, 0)), "JPEG")
    one = replace(one, item=replace(one.item, photo=photo))
    row = write_and_score(one, Job(str(tmp_path), cutouts="webp", overlays=True)).result
    assert files_below(tmp_path) == ["cutouts/c/a.b.webp", "masks/c/a.b.png", "overlays/c/a.b.jpg"]
    assert Image.open(tmp_path / "cutouts/c/a.b.webp").mode == "RGBA"
    # Rows are grouped, and must not carry images.
    assert row.item.photo == b""


def test_a_photo_that_cannot_be_decoded_again_is_a_failure_without_a_mask(tmp_path):
    one = prediction("a", (12, 9))
    one = replace(one, item=replace(one.item, photo=b"text"))
    failure = write_and_score(one, Job(str(tmp_path), cutouts="png")).failure
    assert (failure.stage, failure.reason) == ("write", "not_an_image")
    assert files_below(tmp_path) == []


@pytest.mark.parametrize("with_images", [False, True])
def test_for_shards_nothing_is_written_and_the_encoded_mask_goes_on(tmp_path, with_images):
    one = prediction("a", (12, 9))
    one = replace(one, item=replace(one.item, photo=b"the photo"))
    job = Job(str(tmp_path), mask_format="tfrecord", with_images=with_images)
    encoded = write_and_score(one, job).result
    assert files_below(tmp_path) == []
    expected = full_size_mask(one.probability, (12, 9), None)
    np.testing.assert_array_equal(Image.open(io.BytesIO(encoded.mask)), expected)
    assert encoded.image == (b"the photo" if with_images else b"")
    assert encoded.row.item == Item("a.jpg", "masks/a.png", "c")


@pytest.mark.skipif(not os.path.isdir("/sys/kernel"), reason="nobody can write there on Linux")
def test_a_folder_that_takes_nothing_ends_the_job():
    with pytest.raises(OutputLost):
        write_and_score(prediction("a", (5, 4)), Job("/sys/kernel/out"))


@pytest.mark.parametrize("threshold", [None, 0.5])
def test_the_stage_writes_each_mask_and_scores_what_it_wrote(tmp_path, threshold):
    truth = np.random.default_rng(5).random((9, 12)) < 0.3
    lay(tmp_path, "masks/file")
    predictions = [
        prediction("a", (12, 9), 1, encode_array(truth), mask="masks/c/a.png"),
        prediction("b", (5, 4), 2),
        prediction("bad", (5, 4), 3, b"text"),
        prediction("c", (5, 4), 4, mask="masks/file/c.png"),
    ]

    def check(rows):
        found = {row.key: row for row in rows}
        assert {key: row.status for key, row in found.items()} == {
            "a.jpg": "ok",
            "b.jpg": "ok",
            "bad.jpg": "bad_truth",
        }
        for one in predictions[:3]:
            mask = np.asarray(Image.open(tmp_path / one.item.mask).convert("L"))
            expected = full_size_mask(one.probability, one.size, threshold)
            np.testing.assert_array_equal(mask, expected)
            row = found[one.item.key]
            assert (row.item, row.size) == (one.item.without_truth(), one.size)
            assert describe_mask(mask).items() <= row.values.items()
        mask = np.asarray(Image.open(tmp_path / "masks/c/a.png").convert("L"))
        assert compare(mask, truth).values.items() <= found["a.jpg"].values.items()

    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        stage = WriteAndScore(Job(str(tmp_path), threshold=threshold), 2)
        written = pipeline | beam.Create(predictions) | stage
        assert_that(written.results, check, label="rows")
        failures = written.failures | beam.Map(lambda one: (one.key, one.stage))
        assert_that(failures, equal_to([("c.jpg", "write")]), label="failures")
    assert files_below(tmp_path) == ["masks/b.png", "masks/bad.png", "masks/c/a.png", "masks/file"]


def red(image):
    return Prediction(image.item, image.pixels[..., 0].astype(np.float32) / 255, image.size)


def annotate_large(output):
    """Decodes and writes large images in one bundle, each with a large ground truth."""
    memory.LARGE_PIXELS = 10
    photo = encode(Image.new("RGB", (30, 20), (200, 0, 0)), "JPEG")
    truth = Truth(encode(Image.new("L", (30, 20), 255)))
    job = Job(output, image_size=8, cutouts="png", overlays=True)
    for window in (0, 1):
        records = [
            ImageRecord(Item(f"{number}.jpg", f"masks/{window}/{number}.png", "c", truth), photo)
            for number in range(6)
        ]
        with beam.Pipeline(runner="FnApiRunner") as pipeline:
            decoded = pipeline | beam.Create(records) | DecodeImages(job, window)
            predictions = decoded.results | beam.Map(red)
            predictions | WriteAndScore(job, window)


def test_stages_do_not_wait_for_each_other_with_the_room_for_a_large_image(tmp_path):
    """A stage that yielded while it has the room would wait here for ever."""
    # In a process that can be killed: threads that wait for ever would be waited for.
    spawn = multiprocessing.get_context("spawn")
    process = spawn.Process(target=annotate_large, args=(str(tmp_path),))
    process.start()
    process.join(timeout=60)
    hangs = process.is_alive()
    process.kill()
    process.join()
    assert not hangs and process.exitcode == 0
    assert len(files_below(tmp_path)) == 36
