"""The journal: exact, whole, each mask once, and only of the job that it is resumed with."""

import dataclasses
import json
from pathlib import Path

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.testing.util import assert_that, equal_to

from pipeline.job_settings import Job
from pipeline.records import Done, MetricsRow
from pipeline.stages import journal
from pipeline.stages.journal import (
    KeepRows,
    ReadJournal,
    WriteJournal,
    changes,
    from_line,
    journal_files,
    read_rows,
    start,
    to_line,
)
from pipeline.storage.files import OutputLost


def row(number, content="c", curves=False):
    rng = np.random.default_rng(number)
    values = {"mae": float(rng.random()), "iou": None, "bounding_box": [1, 2, 3, 4], "empty": False}
    f_curve, e_curve = (rng.random(256), rng.random(256) / 3) if curves else (None, None)
    return MetricsRow(
        f"{number}\n.jpg", f"masks/{number}.png", (3, 4), "ok", values, f_curve, e_curve, content
    )


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
    odd = dataclasses.replace(row(1), key='\udcff\0\n\u2028"')
    assert_equal(from_line(to_line(odd)), odd)


@pytest.mark.parametrize("line", ["", "{", "[]", "{}", '{"key": "a"}', "null"])
def test_a_damaged_line_is_told(line):
    with pytest.raises(ValueError):
        from_line(line)


def write(output, rows):
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        through = pipeline | beam.Create(rows) | WriteJournal(str(output))
        keys = through | beam.Map(lambda one: one.key)
        assert_that(keys, equal_to([one.key for one in rows]))


def read(output):
    """The rows of a journal by mask, as a resumed job sees them."""
    found = {}
    for path in journal_files(str(output)):
        for line in Path(path).read_text().splitlines():
            found[from_line(line).mask] = from_line(line)
    return found


@pytest.mark.parametrize("count", [0, 1, 7, 16])
def test_every_row_is_in_one_file_and_goes_on(tmp_path, monkeypatch, count):
    monkeypatch.setattr(journal, "ROWS", 7)
    start(Job(str(tmp_path)))
    rows = [row(number) for number in range(count)]
    write(tmp_path, rows)
    assert {one.key for one in read(tmp_path).values()} == {one.key for one in rows}
    sizes = [len(Path(path).read_text().splitlines()) for path in journal_files(str(tmp_path))]
    assert sum(sizes) == count and max(sizes, default=0) <= 7
    assert sorted(path.suffix for path in tmp_path.rglob("*") if path.is_file()) == [
        ".json",
        *[".jsonl"] * len(sizes),
    ]


def test_rows_are_written_after_some_time_too(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "SECONDS", 0)
    start(Job(str(tmp_path)))
    stage = journal._Write(str(tmp_path))
    stage.start_bundle()
    assert [one.key for one in stage.process(row(1))] == [row(1).key]
    assert len(read(tmp_path)) == 1


def test_a_job_whose_folder_is_gone_stops(tmp_path):
    output = tmp_path / "mount"
    start(Job(str(output)))
    stage = journal._Write(str(output))
    stage.start_bundle()
    list(stage.process(row(1)))
    output.rename(tmp_path / "elsewhere")
    output.mkdir()
    with pytest.raises(OutputLost, match="has lost its journal"):
        list(stage.finish_bundle())


def test_damaged_lines_are_told_and_their_images_are_done_again(tmp_path, caplog):
    start(Job(str(tmp_path)))
    write(tmp_path, [row(1), row(2)])
    (path,) = journal_files(str(tmp_path))
    # As a machine that has lost its power leaves them.
    Path(path).write_bytes(Path(path).read_bytes()[:-9] + b"\n" + bytes(30))
    assert [one.key for one in read_rows(path)] == [row(1).key]
    told = [record.getMessage() for record in caplog.records if path in record.getMessage()]
    assert len(told) == 2 and "line 2" in told[0] and "is done again" in told[0]


def test_the_last_row_of_a_mask_counts(tmp_path):
    start(Job(str(tmp_path)))
    write(tmp_path, [row(1, "old"), row(2, "same")])
    write(tmp_path, [row(1, "new"), row(3)])
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        finished = pipeline | ReadJournal(str(tmp_path))
        contents = finished | beam.MapTuple(lambda mask, one: (mask, one.content))
        expected = [("masks/1.png", "new"), ("masks/2.png", "same"), ("masks/3.png", "c")]
        assert_that(contents, equal_to(expected), label="contents")
        done = pipeline | beam.Create([Done("masks/3.png"), Done("masks/1.png")])
        kept = done | KeepRows(finished) | "Kept" >> beam.Map(lambda one: (one.key, one.content))
        assert_that(kept, equal_to([(row(3).key, "c"), (row(1).key, "new")]), label="kept")


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
    write(tmp_path, [row(1)])
    start(job)
    assert changes(job) == [] and len(read(tmp_path)) == 1
    other = dataclasses.replace(job, **{name: CHANGES[name]})
    assert changes(other) == [f"{name} was {getattr(job, name)}, is {CHANGES[name]}"]
    start(other)
    assert read(tmp_path) == {} and changes(other) == []
    assert changes(job) != []


@pytest.mark.parametrize("name", ["inputs", "batch_size", "read_timeout", "resume", "truth"])
def test_what_does_not_decide_a_mask_may_change(tmp_path, name):
    job = Job(str(tmp_path))
    start(job)
    write(tmp_path, [row(1)])
    start(dataclasses.replace(job, **{name: 5}))
    assert len(read(tmp_path)) == 1


def test_a_crash_between_dropping_rows_and_saying_so_is_no_harm(tmp_path, monkeypatch):
    job, other = Job(str(tmp_path)), Job(str(tmp_path), threshold=0.5)
    start(job)
    write(tmp_path, [row(1)])
    with monkeypatch.context() as patched:
        patched.setattr(journal, "write_file", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            start(other)
    # Nothing is left that could be taken for the other job's.
    assert read(tmp_path) == {}
    start(other)
    assert json.loads((tmp_path / "journal" / "job.json").read_text())["threshold"] == 0.5
