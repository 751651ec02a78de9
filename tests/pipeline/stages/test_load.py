"""Sources to images: from files and shards, with their truth, and what is finished left out."""

import gzip
from dataclasses import replace
from pathlib import Path

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.testing.util import assert_that, equal_to

from model.metrics.counts import count_levels
from pipeline.failures import Failure, TimedOut
from pipeline.job_settings import Job
from pipeline.records import (
    Chunk,
    Finished,
    ImageRecord,
    Item,
    MetricsRow,
    Origin,
    Source,
    Truth,
    content_of,
)
from pipeline.stages.load import Kept, Load, load, read_source, rest_of_source
from pipeline.storage.journal_files import append, journal_files, start
from tests.pipeline.journal_rows import journaled
from tests.pipeline.shard_files import example, lay, write_shard

COUNTS = count_levels(np.zeros((2, 3), np.uint8), np.ones((2, 3), bool)).to_bytes()


def photo(folder, name="a", truth=None):
    """The source of an image file, and of its truth below the same folder."""
    truth = truth and f"{folder}/{truth}"
    return Source(f"{folder}/{name}.jpg", f"{name}.jpg", f"masks/{name}.png", truth, 3, "3-1.5")


def read_one(source, scores=False):
    (attempt,) = read_source(source, scores)
    return attempt


def test_an_image_file_comes_with_its_truth(tmp_path):
    lay(tmp_path, "c/a.jpg", "t.png")
    truth = Truth(b"t.png")
    content = content_of("c/a.jpg", b"c/a.jpg", truth)
    origin = Origin("masks/c/a.png", "3-1.5", 0, True, f"{tmp_path}/c/a.jpg", f"{tmp_path}/t.png")
    item = Item("c/a.jpg", "masks/c/a.png", content, truth, origin=origin)
    assert read_one(photo(tmp_path, "c/a", "t.png")).result == ImageRecord(item, b"c/a.jpg")


def test_an_image_file_named_like_a_compressed_one_is_read_as_it_is(tmp_path):
    data = gzip.compress(b"x")
    (tmp_path / "a.gz").write_bytes(data)
    source = replace(photo(tmp_path), path=f"{tmp_path}/a.gz")
    assert read_one(source).result.image == data


def test_a_file_that_cannot_be_read_is_a_failure(tmp_path):
    failure = read_one(photo(tmp_path)).failure
    assert (failure.key, failure.stage) == ("a.jpg", "read")


def test_an_image_that_shares_its_truth_with_another_says_so(tmp_path):
    lay(tmp_path, "a.jpg")
    item = read_one(replace(photo(tmp_path), truth_fault="why")).result.item
    failure = Failure("a.jpg", "read", "ambiguous_truth", "why")
    assert item.truth == Truth(failure=failure)


def test_an_image_whose_record_of_a_truth_is_empty_has_none(tmp_path):
    lay(tmp_path, "a.jpg", "t.tfrecord")
    write_shard(tmp_path / "t.tfrecord", [example(b"a.jpg")])
    place = f"{tmp_path}/t.tfrecord#tfrecord:0"
    source = replace(photo(tmp_path), truth=place)
    item = read_one(source).result.item
    assert item.truth is None and item.origin.truth == place
    assert read_one(source, scores=True).failure.reason == "missing_truth"
    scored = replace(source, path=place, truth=f"{tmp_path}/a.jpg")
    assert read_one(scored, scores=True).failure.reason == "missing_mask"


def test_an_image_whose_truth_cannot_be_read_is_read_and_says_why(tmp_path):
    lay(tmp_path, "a.jpg")
    source = photo(tmp_path, truth="a.png")
    record = read_one(source).result
    assert record.image == b"a.jpg"
    assert (record.item.truth.failure.key, record.item.truth.failure.stage) == ("a.jpg", "read")
    assert record.item.truth.encoded == b""
    # Once it can be read, the image is another, so that it is done again.
    lay(tmp_path, "a.png")
    after = read_one(source).result
    assert after.item.truth == Truth(b"a.png")
    without = content_of("a.jpg", b"a.jpg", None)
    assert len({record.item.content, after.item.content, without}) == 3


def test_a_shard_is_a_source_too(tmp_path):
    path = str(tmp_path / "s.tfrecord")
    write_shard(path, [example(b"a.jpg", b"A"), example(b"b.jpg", b"B"), b"\xff"])
    first, second, third = read_source(Source(path, "s", "masks/s", chunk=Chunk()))
    assert [one.result.image for one in (first, second)] == [b"A", b"B"]
    assert third.failure.reason == "not_an_example"


def test_the_rest_of_a_source_is_one_failure():
    error = TimedOut("nothing came for 9 seconds")

    def failure(source, count):
        (attempt,) = rest_of_source(source, count, error)
        assert attempt.failure.reason == "timed_out"
        return attempt.failure.key, attempt.failure.stage

    assert failure(photo("/in", "c/a"), 0) == ("c/a.jpg", "read")
    shard = Source("/s.tfrecord", "s", "masks/s", chunk=Chunk(first=32))
    assert failure(shard, 1) == ("/s.tfrecord#33", "index")


def test_a_mask_to_be_scored_is_read_with_its_truth(tmp_path):
    lay(tmp_path, "a.png", "t.png")
    source = Source(f"{tmp_path}/a.png", "c/a.png", f"{tmp_path}/a.png", f"{tmp_path}/t.png")
    truth = Truth(b"t.png")
    content = content_of("c/a.png", b"a.png", truth)
    origin = Origin(source.path, path=source.path, truth=source.truth)
    item = Item("c/a.png", source.path, content, truth, origin=origin)
    assert read_one(source, scores=True).result == ImageRecord(item, b"a.png")
    (tmp_path / "t.png").unlink()
    failure = read_one(source, scores=True).failure
    assert (failure.key, failure.stage) == ("c/a.png", "read")


# What is finished


@pytest.fixture
def output(tmp_path):
    """An output folder with a journal, beside the photo a.jpg and its truth t.png."""
    lay(tmp_path, "a.jpg", "t.png")
    output = tmp_path / "out"
    start(Job(str(output)))
    return str(output)


def finished(source, mask_is_there=True, stamp="3-1.5"):
    """The source with the row of what it is now."""
    item = read_one(source).result.item.without_truth()
    item = replace(item, origin=replace(item.origin, stamp=stamp))
    with_figures = source.truth is not None and Path(source.truth).exists()
    row = MetricsRow(item, (3, 4), "ok", {"mae": 0.5}, COUNTS if with_figures else None)
    return replace(source, finished=(Finished(row, mask_is_there),))


def loaded(source, output, scores=False):
    (attempt,) = load(source, output, scores)
    return attempt


def test_an_image_that_has_not_changed_and_has_its_mask_is_finished(tmp_path, output):
    for source in (photo(tmp_path), photo(tmp_path, truth="t.png")):
        source = finished(source)
        assert loaded(source, output).result == Kept(source.finished[0].row, is_renewed=False)
        assert loaded(replace(source, finished=()), output).result.image == b"a.jpg"
    assert journal_files(output) == []


def test_an_image_that_was_only_touched_is_finished_and_its_row_is_renewed(tmp_path, output):
    kept = loaded(finished(photo(tmp_path), stamp="3-0.5"), output).result
    assert kept == Kept(finished(photo(tmp_path)).finished[0].row, is_renewed=True)


def test_an_image_whose_mask_is_gone_is_done_again(tmp_path, output):
    source = finished(photo(tmp_path), mask_is_there=False)
    assert isinstance(loaded(source, output).result, ImageRecord)
    # Its row fits the mask that it will have again.
    assert journal_files(output) == []


@pytest.mark.parametrize("mask_is_there", [True, False])
@pytest.mark.parametrize("changed", ["a.jpg", "t.png"])
def test_an_image_that_has_changed_is_done_again_and_its_row_is_withdrawn(
    tmp_path, output, changed, mask_is_there
):
    source = finished(photo(tmp_path, truth="t.png"), mask_is_there)
    append(output, [source.finished[0].row])
    (tmp_path / changed).write_bytes(b"new")
    assert isinstance(loaded(source, output).result, ImageRecord)
    # Whatever happens to its new mask, the old row is no longer its own.
    (found,) = journaled(output).values()
    assert (found.key, found.item.mask, found.item.content) == ("a.jpg", "masks/a.png", "")
    assert found.item.origin.source == "masks/a.png"


def test_an_image_whose_row_was_withdrawn_is_done_again_even_if_it_changed_back(tmp_path, output):
    source = finished(photo(tmp_path))
    row = source.finished[0].row
    withdrawn = replace(row, item=replace(row.item, content=""))
    source = replace(source, finished=(Finished(withdrawn, True),))
    assert isinstance(loaded(source, output).result, ImageRecord)
    assert journal_files(output) == []


def test_a_finished_image_whose_truth_can_no_longer_be_read_keeps_its_row(tmp_path, output):
    source = finished(photo(tmp_path, truth="t.png"))
    Path(source.truth).unlink()
    failure = loaded(source, output).failure
    assert (failure.key, failure.stage) == ("a.jpg", "read")
    assert failure.message.endswith("t.png'") and failure.reason != "BadImage"
    assert journal_files(output) == []


def test_an_image_whose_row_never_had_figures_is_done_again_without_its_truth(tmp_path, output):
    source = finished(photo(tmp_path))
    source = replace(photo(tmp_path, truth="gone.png"), finished=source.finished)
    assert isinstance(loaded(source, output).result, ImageRecord)


def test_a_truth_that_cannot_be_read_is_read_again_on_a_resume(tmp_path):
    # Its listing may be what it was once it can be read.
    lay(tmp_path, "a.jpg")
    assert read_one(photo(tmp_path, truth="t.png")).result.item.origin.stamp == ""


def test_an_image_that_was_finished_without_its_truth_stays_finished_without_it(tmp_path, output):
    source = photo(tmp_path, truth="t.png")
    truth = Path(source.truth).rename(tmp_path / "away")
    source = finished(source)
    assert isinstance(loaded(source, output).result, Kept)
    # Once its truth can be read, it is done again.
    truth.rename(source.truth)
    assert isinstance(loaded(source, output).result, ImageRecord)


def test_of_masks_that_are_scored_no_row_is_withdrawn(tmp_path, output):
    path = f"{tmp_path}/a.jpg"
    source = finished(Source(path, "a.jpg", path, f"{tmp_path}/t.png"), stamp="")
    assert isinstance(loaded(source, output, scores=True).result, Kept)
    (tmp_path / "a.jpg").write_bytes(b"new")
    assert isinstance(loaded(source, output, scores=True).result, ImageRecord)
    assert journal_files(output) == []


def test_images_rows_and_failures_part(tmp_path, output):
    lay(tmp_path, "new.jpg", "b.jpg")
    sources = [
        finished(photo(tmp_path)),
        finished(photo(tmp_path, "b"), stamp="3-0.5"),
        photo(tmp_path, "new"),
        photo(tmp_path, "lost"),
    ]
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        found = pipeline | beam.Create(sources) | Load(output, scores=False, timeout=60)
        for name, expected in (
            ("results", [("new.jpg", ImageRecord)]),
            ("rows", [("a.jpg", MetricsRow)]),
            ("renewed", [("b.jpg", MetricsRow)]),
            ("failures", [("lost.jpg", Failure)]),
        ):
            shown = getattr(found, name) | name >> beam.Map(
                lambda one: ((one.item if hasattr(one, "item") else one).key, type(one))
            )
            assert_that(shown, equal_to(expected), label=f"check {name}")
    counters = pipeline.result.metrics().query()["counters"]
    counted = [(one.key.metric.name, one.committed) for one in counters]
    assert counted.count(("kept", 1)) == 2 and ("read", 3) in counted
