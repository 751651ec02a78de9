"""At a job's end the journal is a few files that say the same."""

import apache_beam as beam

from pipeline.job_settings import Job
from pipeline.stages.compact import CompactJournal
from pipeline.storage import journal_files
from pipeline.storage.journal_files import append, start
from tests.pipeline.journal_rows import journaled, row


def compact(output):
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        pipeline | beam.Create([None]) | CompactJournal(str(output))


def test_many_files_become_few_that_say_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(journal_files, "COMPACT_BYTES", 4000)
    start(Job(str(tmp_path)))
    for number in range(40):
        append(str(tmp_path), [row(number)])
    before = journaled(tmp_path)
    compact(tmp_path)
    files = journal_files.journal_files(str(tmp_path))
    assert journaled(tmp_path) == before and 1 < len(files) < 10
    assert all("/compacted/" in path for path in files)
    # What is compacted already stays as it is.
    compact(tmp_path)
    assert journal_files.journal_files(str(tmp_path)) == files
    append(str(tmp_path), [row(99)])
    compact(tmp_path)
    assert len(journal_files.journal_files(str(tmp_path))) == len(files) + 1
    assert len(journaled(tmp_path)) == 41


def test_a_journal_without_rows_is_left_alone(tmp_path):
    start(Job(str(tmp_path)))
    compact(tmp_path)
    assert journal_files.journal_files(str(tmp_path)) == []
