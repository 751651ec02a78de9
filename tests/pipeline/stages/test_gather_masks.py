"""The stage that gathers encoded masks: a row goes on once the part of its mask is written."""

import time
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that

from pipeline.stages import gather_masks
from pipeline.stages.gather_masks import GatherMasks
from pipeline.storage.mask_parts import PARTS, EncodedMask, read_parts
from tests.pipeline.bundles import begun, finished, given
from tests.pipeline.journal_rows import row


def masks(count, size=10):
    return [
        EncodedMask(row(number), bytes([number]) * size, bytes([number]) * (number % 3))
        for number in range(count)
    ]


def stage_of(output):
    return begun(gather_masks._Gather(str(output), 1))


def parts(output):
    return list(Path(output, PARTS).glob("*.bin"))


def assert_stored(output, rows, expected):
    assert [one.key for one in rows] == [one.row.key for one in expected]
    read = list(read_parts(str(output), rows))
    assert [(one.mask, one.image) for one in read] == [(one.mask, one.image) for one in expected]


@pytest.mark.parametrize("count", [0, 1, 7, 23])
def test_every_mask_is_in_a_part_and_its_row_says_where(tmp_path, monkeypatch, count):
    monkeypatch.setattr(gather_masks, "PART_BYTES", 70)
    stage = stage_of(tmp_path)
    rows = [*given(stage, *masks(count)), *finished(stage)]
    assert_stored(tmp_path, rows, masks(count))
    assert len(parts(tmp_path)) == len({one.item.stored.file for one in rows})
    assert sum(path.stat().st_size for path in parts(tmp_path)) == sum(
        one.size for one in masks(count)
    )


def test_a_row_does_not_go_on_before_its_part_is_there(tmp_path, monkeypatch):
    monkeypatch.setattr(gather_masks, "PART_BYTES", 30)
    stage = stage_of(tmp_path)
    found = []
    for one in masks(12):
        rows = given(stage, one)
        assert all((tmp_path / row.item.stored.file).is_file() for row in rows)
        found += rows
        time.sleep(0.01)
    assert len(found) >= 6


def test_a_part_is_written_after_some_time_too(tmp_path, monkeypatch):
    monkeypatch.setattr(gather_masks, "SECONDS", 0)
    stage = stage_of(tmp_path)
    given(stage, masks(1)[0])
    stage.writing.result()
    assert len(parts(tmp_path)) == 1


def test_a_part_that_cannot_be_written_ends_the_bundle(tmp_path):
    (tmp_path / "journal").write_text("where the folder should be")
    stage = stage_of(tmp_path)
    given(stage, *masks(2))
    with pytest.raises(OSError):
        finished(stage)


def test_rows_come_through_the_stage(tmp_path):
    def check(rows):
        assert_stored(tmp_path, sorted(rows, key=lambda one: one.key), masks(5))

    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        assert_that(pipeline | beam.Create(masks(5)) | GatherMasks(str(tmp_path), 1), check)
