"""The journal on storage: exact, whole, and only of the job that it is resumed with."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.failures import OutputLost
from pipeline.job_settings import Job
from pipeline.records import Item, MetricsRow
from pipeline.storage import errors
from pipeline.storage.journal_files import (
    append,
    changes,
    from_line,
    journal_files,
    read_head,
    read_rows,
    start,
    to_line,
    withdraw,
)
from tests.pipeline.journal_rows import journaled, row
from tests.pipeline.object_store import ObjectStore
from tests.pipeline.shard_files import files_below


def assert_equal(found, expected):
    for field in dataclasses.fields(MetricsRow):
        np.testing.assert_equal(getattr(found, field.name), getattr(expected, field.name))


@pytest.mark.parametrize("curves", [False, True])
def test_a_row_comes_back_to_the_last_bit(curves):
    line = to_line(row(1, curves=curves))
    assert "\n" not in line
    found = from_line(line)
    assert_equal(found, row(1, curves=curves))
    assert found.to_json() == row(1).to_json()


def test_a_key_may_hold_anything():
    odd = dataclasses.replace(row(1), item=Item('\udcff\0\n\u2028"', "masks/a.png", "c"))
    assert_equal(from_line(to_line(odd)), odd)


@pytest.mark.parametrize("line", ["", "{", "[]", "{}", '{"key": "a"}', "null"])
def test_a_damaged_line_is_told(line):
    with pytest.raises(ValueError):
        from_line(line)


def test_damaged_lines_are_told_and_their_images_are_done_again(tmp_path, caplog):
    start(Job(str(tmp_path)))
    append(str(tmp_path), [row(1), row(2)])
    (path,) = journal_files(str(tmp_path))
    # As a machine that has lost its power leaves them.
    Path(path).write_bytes(Path(path).read_bytes()[:-9] + b"\n" + bytes(30))
    assert [one.key for one in read_rows(path)] == [row(1).key]
    told = [record.getMessage() for record in caplog.records if path in record.getMessage()]
    assert len(told) == 2 and "line 2" in told[0] and "is done again" in told[0]


def test_rows_are_appended_to_whole_files_in_the_order_of_their_names(tmp_path):
    start(Job(str(tmp_path)))
    for numbers in ((1, 2), (3,), (2, 4)):
        append(str(tmp_path), [row(number, content=str(numbers)) for number in numbers])
    contents = {mask: one.item.content for mask, one in journaled(tmp_path).items()}
    assert contents == {
        "masks/1.png": "(1, 2)",
        "masks/2.png": "(2, 4)",
        "masks/3.png": "(3,)",
        "masks/4.png": "(2, 4)",
    }
    assert len(journal_files(str(tmp_path))) == 3


def test_a_row_is_withdrawn_by_one_that_belongs_to_no_image(tmp_path):
    start(Job(str(tmp_path)))
    append(str(tmp_path), [row(1)])
    withdraw(str(tmp_path), "1\n.jpg", "masks/1.png")
    (found,) = journaled(tmp_path).values()
    assert (found.key, found.item.content) == ("1\n.jpg", "")


def test_nothing_is_appended_where_the_journal_is_gone(tmp_path):
    output = tmp_path / "mount"
    start(Job(str(output)))
    output.rename(tmp_path / "elsewhere")
    output.mkdir()
    with pytest.raises(OutputLost, match="has lost its journal"):
        append(str(output), [row(1)])
    assert files_below(output) == []


def test_a_journal_on_an_object_store_is_read_as_it_was_written(monkeypatch):
    monkeypatch.setattr(ObjectStore, "files", {})
    job = Job("store://bucket/out [1]")
    start(job)
    append(job.output, [row(1, curves=True)])
    assert read_head(job.output)["image_size"] == 224 and changes(job) == []
    (path,) = journal_files(job.output)
    (found,) = read_rows(path)
    assert_equal(found, row(1, curves=True))
    start(dataclasses.replace(job, threshold=0.5))
    assert list(ObjectStore.files) == ["store://bucket/out [1]/journal/job.json"]


def test_where_there_is_no_journal_nothing_has_changed(tmp_path):
    assert read_head(str(tmp_path)) is None and changes(Job(str(tmp_path))) == []
    assert journal_files(str(tmp_path)) == []


def test_a_damaged_head_is_told(tmp_path):
    start(Job(str(tmp_path)))
    (tmp_path / "journal" / "job.json").write_text('{"format": 2')
    with pytest.raises(ValueError):
        read_head(str(tmp_path))


CHANGES = {
    "model": "other.keras",
    "model_content": "ff",
    "image_size": 64,
    "tta": "flip",
    "precision": "bfloat16",
    "threshold": 0.5,
}


@pytest.mark.parametrize("name", CHANGES)
def test_another_model_or_option_makes_rows_stale_and_is_named(tmp_path, name):
    job = Job(str(tmp_path), model_content="00")
    start(job)
    append(job.output, [row(1)])
    start(job)
    assert changes(job) == [] and len(journaled(tmp_path)) == 1
    other = dataclasses.replace(job, **{name: CHANGES[name]})
    assert changes(other) == [f"{name} was {getattr(job, name)}, is {CHANGES[name]}"]
    start(other)
    assert journaled(tmp_path) == {} and changes(other) == []
    assert changes(job) != []


def test_rows_of_scored_masks_are_stale_for_a_job_that_makes_masks(tmp_path):
    start(Job(str(tmp_path), masks="in", truth="truth"))
    assert changes(Job(str(tmp_path))) == ["scores was True, is False"]


@pytest.mark.parametrize(
    "name", ["inputs", "batch_size", "read_timeout", "resume", "truth", "processes"]
)
def test_what_does_not_decide_a_mask_may_change(tmp_path, name):
    job = Job(str(tmp_path))
    start(job)
    append(job.output, [row(1)])
    start(dataclasses.replace(job, **{name: 5}))
    assert len(journaled(tmp_path)) == 1


def test_a_crash_between_dropping_rows_and_saying_so_is_no_harm(tmp_path, monkeypatch):
    monkeypatch.setattr(errors, "PAUSES", ())
    job, other = Job(str(tmp_path)), Job(str(tmp_path), threshold=0.5)
    start(job)
    append(job.output, [row(1)])
    # Nothing can be written where a file takes the place of the folder for what is unfinished.
    (tmp_path / "temporary").rmdir()
    (tmp_path / "temporary").write_bytes(b"")
    with pytest.raises(OSError):
        start(other)
    # Nothing is left that could be taken for the other job's.
    assert journaled(tmp_path) == {}
    (tmp_path / "temporary").unlink()
    start(other)
    assert json.loads((tmp_path / "journal" / "job.json").read_text())["threshold"] == 0.5
