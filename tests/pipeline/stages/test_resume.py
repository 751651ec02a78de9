"""What is finished is left out with its row; what changed, or lost its mask, is done again."""

from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.io.filesystem import BeamIOError
from apache_beam.testing.util import assert_that, equal_to

from pipeline.failures import Failure
from pipeline.job_settings import Job
from pipeline.records import ImageRecord, Item, MetricsRow, Truth, content_of
from pipeline.stages.resume import ReadJournal, Resume, compare
from pipeline.storage.journal_files import append, journal_files, start
from tests.pipeline.journal_rows import journaled, row
from tests.pipeline.object_store import ObjectStore
from tests.pipeline.shard_files import lay


def image(name, data=b"image", truth=None):
    content = content_of(f"{name}.jpg", data, truth)
    return ImageRecord(Item(f"{name}.jpg", f"masks/{name}.png", content, truth), data)


def row_of(record):
    return MetricsRow(record.item.without_truth(), (3, 4), "ok", {"mae": 0.5})


@pytest.fixture
def output(tmp_path):
    """An output folder with a journal, and the mask of image a."""
    start(Job(str(tmp_path)))
    lay(tmp_path, "masks/a.png")
    return str(tmp_path)


def compared(record, finished, output, scores=False):
    contents = {one.item.mask: one.item.content for one in finished}
    (attempt,) = compare(record, contents, output, scores)
    return attempt


def is_finished(record, finished, output, scores=False):
    attempt = compared(record, finished, output, scores)
    assert attempt.result.image is record
    return attempt.result.finished


def test_an_image_that_has_not_changed_and_has_its_mask_is_finished(output):
    with_truth = image("a", truth=Truth(b"T"))
    for record in (image("a"), with_truth):
        assert is_finished(record, [record], output)
    assert not is_finished(image("a"), [], output)
    assert journal_files(output) == []


def test_an_image_whose_mask_is_gone_is_done_again(output):
    Path(output, "masks", "a.png").unlink()
    assert not is_finished(image("a"), [image("a")], output)
    # Its row fits the mask that it will have again.
    assert journal_files(output) == []


@pytest.mark.parametrize(
    "changed", [image("a", b"another"), image("a", truth=Truth(b"T"))], ids=["image", "truth"]
)
def test_an_image_that_has_changed_is_done_again_and_its_row_is_withdrawn(output, changed):
    append(output, [row_of(image("a"))])
    assert not is_finished(changed, [image("a")], output)
    # Whatever happens to its new mask, the old row is no longer its own; the old mask stays.
    (found,) = journaled(output).values()
    assert (found.key, found.item.mask, found.item.content) == ("a.jpg", "masks/a.png", "")
    assert Path(output, "masks", "a.png").exists()


def test_an_image_whose_row_was_withdrawn_is_done_again_even_if_it_changed_back(output):
    withdrawn = ImageRecord(Item("a.jpg", "masks/a.png", ""), b"")
    assert not is_finished(image("a"), [withdrawn], output)


UNREADABLE = Truth(failure=Failure("a.jpg", "read", "OSError", "the mount is gone"))


def test_a_finished_image_whose_truth_can_no_longer_be_read_keeps_its_row(output):
    finished = image("a", truth=Truth(b"T"))
    append(output, [row_of(finished)])
    attempt = compared(image("a", truth=UNREADABLE), [finished], output)
    assert attempt.failure == UNREADABLE.failure
    assert [one.item.content for one in journaled(output).values()] == [finished.item.content]


def test_an_image_that_was_finished_without_its_truth_stays_finished_without_it(output):
    assert is_finished(image("a", truth=UNREADABLE), [image("a", truth=UNREADABLE)], output)
    # Once its truth can be read, it is done again.
    assert not is_finished(image("a", truth=Truth(b"T")), [image("a", truth=UNREADABLE)], output)


def test_an_image_that_was_not_finished_needs_no_truth(output):
    assert not is_finished(image("a", truth=UNREADABLE), [], output)


def test_of_masks_that_are_scored_none_is_looked_for_and_no_row_is_withdrawn(output):
    record = image("elsewhere", truth=Truth(b"T"))
    assert is_finished(record, [record], output, scores=True)
    assert not is_finished(image("elsewhere", b"new"), [record], output, scores=True)
    assert journal_files(output) == []


class Unreachable(ObjectStore):
    """A bucket that does not answer."""

    @classmethod
    def scheme(cls):
        return "unreachable"

    def exists(self, path):
        raise BeamIOError("the bucket does not answer")


def test_storage_that_fails_while_a_mask_is_looked_for_costs_one_image():
    attempt = compared(image("a"), [image("a")], "unreachable://out")
    failure = attempt.failure
    assert (failure.key, failure.stage, failure.reason) == ("a.jpg", "read", "BeamIOError")
    assert failure.message.startswith("the bucket does not answer")


# In a pipeline


def test_the_last_row_of_a_mask_counts(tmp_path):
    start(Job(str(tmp_path)))
    append(str(tmp_path), [row(1, "old"), row(2, "same")])
    append(str(tmp_path), [row(1, "new"), row(3)])
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        found = pipeline | ReadJournal(str(tmp_path))
        contents = found | beam.MapTuple(lambda mask, one: (mask, one.item.mask, one.item.content))
        expected = [("masks/1.png", "new"), ("masks/2.png", "same"), ("masks/3.png", "c")]
        assert_that(contents, equal_to([(mask, mask, content) for mask, content in expected]))


def test_finished_images_are_left_out_and_their_rows_are_there_instead(output):
    lay(output, "masks/b.png", "masks/c.png")
    kept, changed, lost, unreadable = image("a"), image("b"), image("d"), image("c")
    append(output, [row_of(one) for one in (kept, changed, lost, unreadable)])
    # A row whose image is no longer in the input belongs to no output.
    append(output, [row_of(image("gone"))])
    images = [
        kept,
        image("b", b"changed"),
        lost,
        image("c", truth=UNREADABLE),
        image("new"),
    ]
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        resumed = pipeline | beam.Create(images) | Resume(output, scores=False, timeout=60)
        todo = resumed.results | "Todo" >> beam.Map(lambda one: (one.item.key, one.image))
        expected = [("b.jpg", b"changed"), ("d.jpg", b"image"), ("new.jpg", b"image")]
        assert_that(todo, equal_to(expected), label="todo")
        rows = resumed.rows | "Rows" >> beam.Map(lambda one: (one.key, one.values, one.item))
        assert_that(rows, equal_to([("a.jpg", {"mae": 0.5}, kept.item)]), label="rows")
        assert_that(resumed.failures, equal_to([UNREADABLE.failure]), label="failures")
    counters = pipeline.result.metrics().query()["counters"]
    assert [(one.key.metric.name, one.committed) for one in counters] == [("kept", 1)]
    contents = {one.key: one.item.content for one in journaled(output).values()}
    assert contents["b.jpg"] == "" and contents["c.jpg"] == unreadable.item.content
