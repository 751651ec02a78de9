"""The journal on storage: exact, whole, and only of the job that it is resumed with."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model.metrics.pair import compare, describe_mask
from pipeline.failures import OutputLost
from pipeline.job_settings import Job
from pipeline.records import Item, MetricsRow, Origin
from pipeline.storage import errors
from pipeline.storage.journal_files import (
    append,
    changes,
    compact,
    count_finished,
    drop_running,
    from_line,
    journal_files,
    newest,
    read_head,
    read_lines,
    running_files,
    start,
    to_line,
    withdraw,
)
from tests.pipeline.journal_rows import journaled, row
from tests.pipeline.object_store import ObjectStore
from tests.pipeline.shard_files import files_below


@pytest.mark.parametrize("truth", [False, True])
def test_a_row_comes_back_to_the_last_bit(truth):
    line = to_line(row(1, truth=truth), 9)
    assert "\n" not in line
    assert from_line(line) == (9, row(1, truth=truth))
    assert from_line(line)[1].to_json() == row(1).to_json()


def test_a_row_of_a_record_comes_back_with_its_place_in_its_shard():
    origin = Origin("masks/s", "9-1.5", 17, False, "in/s.tfrecord")
    record = replace(row(1), item=replace(row(1).item, origin=origin), status="bad_truth")
    assert from_line(to_line(record)) == (0, record)


def test_lines_are_short():
    # What differs from an image file without truth is all that is written of where it is from.
    assert (
        not {"source", "number", "is_last", "status", "level_counts"}
        & json.loads(to_line(row(1))).keys()
    )
    prediction = np.random.default_rng(0).normal(128, 60, (300, 400)).clip(0, 255).astype(np.uint8)
    values = describe_mask(prediction)
    compared = compare(prediction, prediction > 128)
    counts = compared.counts.to_bytes()
    with_truth = MetricsRow(row(1).item, (400, 300), "ok", values | compared.values, counts)
    assert len(to_line(with_truth)) < 2200


def test_a_key_may_hold_anything():
    odd = replace(row(1), item=Item('\udcff\0\n\u2028"', "masks/a.png", "c"))
    odd = replace(odd, item=replace(odd.item, origin=Origin("masks/a.png")))
    assert from_line(to_line(odd)) == (0, odd)


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
    assert [one.key for _, one in read_lines(path)] == [row(1).key]
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
    withdraw(str(tmp_path), row(1))
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
    append(job.output, [row(1, truth=True)])
    assert read_head(job.output)["image_size"] == 256 and changes(job) == []
    (path,) = journal_files(job.output)
    ((_, found),) = read_lines(path)
    assert found == row(1, truth=True)
    start(replace(job, threshold=0.5))
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
    "engine": "openvino",
    "threshold": 0.5,
}


@pytest.mark.parametrize("name", CHANGES)
def test_another_model_or_option_makes_rows_stale_and_is_named(tmp_path, name):
    job = Job(str(tmp_path), model_content="00")
    start(job)
    append(job.output, [row(1)])
    start(job)
    assert changes(job) == [] and len(journaled(tmp_path)) == 1
    other = replace(job, **{name: CHANGES[name]})
    assert changes(other) == [f"{name} was {getattr(job, name)}, is {CHANGES[name]}"]
    start(other)
    assert journaled(tmp_path) == {} and changes(other) == []
    assert changes(job) != []


def test_a_journal_that_names_no_engine_is_of_keras(tmp_path):
    job = Job(str(tmp_path))
    start(job)
    append(job.output, [row(1)])
    path = tmp_path / "journal" / "job.json"
    head = json.loads(path.read_text())
    assert head.pop("engine") == "keras"
    path.write_text(json.dumps(head))
    assert changes(job) == [] and changes(replace(job, engine="openvino")) != []
    start(job)
    assert len(journaled(tmp_path)) == 1


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
    start(replace(job, **{name: 5}))
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


def test_small_files_are_put_together_and_say_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.storage.journal_files.COMPACT_BYTES", 3000)
    output = str(tmp_path)
    start(Job(output))
    for number in range(30):
        append(output, [row(number % 20, content=str(number))])
    withdraw(output, row(3))
    before = journaled(tmp_path)
    groups = list(running_files(output))
    assert 2 < len(groups) < 10
    for _ in range(2):  # A bundle may be done twice.
        for group in groups:
            compact(output, group)
    drop_running(output)
    assert len(journal_files(output)) == len(groups)
    assert journaled(tmp_path) == before and before["masks/3.png"].item.content == ""
    assert list(running_files(output)) == []
    assert count_finished(output) == 19
    # What is written later counts.
    append(output, [row(3, content="again")])
    assert journaled(tmp_path)["masks/3.png"].item.content == "again"
    assert count_finished(output) == 20


def test_a_damaged_end_of_a_file_does_not_spoil_the_next_when_they_are_put_together(tmp_path):
    output = str(tmp_path)
    start(Job(output))
    for number in range(3):
        append(output, [row(number)])
    (group,) = running_files(output)
    Path(group[1]).write_bytes(Path(group[1]).read_bytes()[:-9])
    compact(output, group)
    drop_running(output)
    assert set(journaled_but_damaged(output)) == {"masks/0.png", "masks/2.png"}


def journaled_but_damaged(output):
    return newest(line for path in journal_files(output) for line in read_lines(path))
