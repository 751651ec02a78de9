"""The stage that keeps rows: a row goes on once it is in the journal."""

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to

from pipeline.failures import OutputLost
from pipeline.job_settings import Job
from pipeline.stages import journal
from pipeline.stages.journal import WriteJournal
from pipeline.storage.journal_files import journal_files, read_lines, start
from tests.pipeline.bundles import begun, finished, given
from tests.pipeline.journal_rows import journaled, row
from tests.pipeline.shard_files import files_below


def keys(rows):
    return [one.key for one in rows]


def writer(output):
    """The DoFn of the stage, with a bundle begun."""
    return begun(journal._Write(str(output)))


@pytest.mark.parametrize("count", [0, 1, 7, 16])
def test_every_row_is_in_one_file_and_goes_on(tmp_path, monkeypatch, count):
    monkeypatch.setattr(journal, "ROWS", 7)
    start(Job(str(tmp_path)))
    rows, stage = [row(number) for number in range(count)], writer(tmp_path)
    early = given(stage, *rows)
    # What is not in a file yet does not go on.
    assert len(early) == len(journaled(tmp_path)) == count // 7 * 7
    assert keys([*early, *finished(stage)]) == keys(rows)
    sizes = [len(list(read_lines(path))) for path in journal_files(str(tmp_path))]
    assert sum(sizes) == count and max(sizes, default=0) <= 7
    assert keys(journaled(tmp_path).values()) == keys(rows)
    assert len(files_below(tmp_path)) == 1 + len(sizes)


def test_rows_are_written_after_some_time_too(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "SECONDS", 0)
    start(Job(str(tmp_path)))
    assert keys(given(writer(tmp_path), row(1))) == keys([row(1)])
    assert len(journaled(tmp_path)) == 1


def test_a_job_whose_folder_is_gone_stops(tmp_path):
    output = tmp_path / "mount"
    start(Job(str(output)))
    stage = writer(output)
    given(stage, row(1))
    output.rename(tmp_path / "elsewhere")
    output.mkdir()
    with pytest.raises(OutputLost, match="has lost its journal"):
        finished(stage)


def test_rows_come_through_the_stage_as_they_were(tmp_path):
    start(Job(str(tmp_path)))
    rows = [row(number) for number in range(3)]
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        through = pipeline | beam.Create(rows) | WriteJournal(str(tmp_path))
        assert_that(through, equal_to(rows))
    assert sorted(keys(journaled(tmp_path).values())) == keys(rows)
