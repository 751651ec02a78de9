"""Listing: each file once, and names that cannot travel are failures."""

import os
from dataclasses import replace
from pathlib import Path

import apache_beam as beam
from apache_beam.testing.util import assert_that, equal_to

from pipeline.failures import Failure
from pipeline.records import ListedFile, Note
from pipeline.stages.list_files import ListFiles, at_odds_of, attempts_of, first_of, notes_of
from pipeline.storage.patterns import list_pattern
from tests.pipeline.shard_files import lay


def test_a_pattern_yields_its_files_with_the_folder_that_keys_leave_out(tmp_path):
    lay(tmp_path, "in/a.jpg", "in/c/b.png", "in/notes.txt")
    found = [one.result for one in attempts_of(list_pattern(f"{tmp_path}/in", "images"))]
    assert [(one.path, one.folder) for one in found] == [
        (f"{tmp_path}/in/a.jpg", f"{tmp_path}/in/"),
        (f"{tmp_path}/in/c/b.png", f"{tmp_path}/in/"),
    ]


def test_a_name_that_is_not_utf_8_is_a_failure_and_the_others_are_listed(tmp_path):
    lay(tmp_path, "a.jpg", "z.jpg")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.jpg")).write_bytes(b"x")
    first, odd, last = attempts_of(list_pattern(str(tmp_path), "auto"))
    assert [one.result.path for one in (first, last)] == [f"{tmp_path}/a.jpg", f"{tmp_path}/z.jpg"]
    assert odd.failure == Failure(
        f"{tmp_path}/caf\\udce9.jpg", "read", "bad_name", "the name of the file is not UTF-8"
    )


def test_a_file_that_many_patterns_match_is_listed_once(tmp_path):
    lay(tmp_path, "one/a.jpg", "one/b.jpg", "two/a.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "one")
    (tmp_path / "two" / os.fsdecode(b"\xe9.jpg")).write_bytes(b"x")
    patterns = ("one", "one/a.jpg", "two/../one", "link", "two/*", "o*/b.jpg")
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        listed = pipeline | ListFiles(tuple(f"{tmp_path}/{name}" for name in patterns), "images")
        names = listed.results | beam.Map(lambda file: os.path.relpath(file.path, tmp_path))
        # The first of its spellings counts.
        expected = ["link/a.jpg", "link/b.jpg", "two/a.jpg"]
        assert_that(names, equal_to(expected), label="names")
        failed = listed.failures | "Failed" >> beam.Map(lambda one: one.reason)
        assert_that(failed, equal_to(["bad_name"]), label="failed")


def test_what_is_passed_over_is_noted_with_what_would_read_it(tmp_path):
    lay(tmp_path, "in/a.jpg", "in/notes.txt", "in/s.record", "in/out/journal/job.json")
    lay(tmp_path, "in/out/masks/a.png")
    patterns = (f"{tmp_path}/in",)
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        listed = pipeline | ListFiles(patterns, "auto")
        expected = [
            Note("files named *.txt are not read", f"{tmp_path}/in/notes.txt"),
            Note(
                "files named *.record are not read; --input_format tfrecord reads them",
                f"{tmp_path}/in/s.record",
            ),
            *(
                Note("files are the output of an earlier job and are not read", str(path))
                for path in (
                    tmp_path / "in/out/journal/job.json",
                    tmp_path / "in/out/masks/a.png",
                )
            ),
        ]
        assert_that(listed.notes, equal_to(expected))
    assert set(notes_of(list_pattern(*patterns))) == set(expected)


def test_of_entries_of_one_file_what_a_manifest_says_counts_and_what_differs_is_said():
    listed, named = ListedFile("/in/a.jpg", "/in/"), ListedFile("/in/a.jpg", "/", name="a")
    with_truth = ListedFile("/in/a.jpg", "/", truth="/t.png")
    other = ListedFile("/in/a.jpg", "/", truth="/u.png")
    assert first_of([listed, named]) == named and list(at_odds_of([listed, named])) == []
    assert first_of([named, other, with_truth]) == with_truth
    assert len(list(at_odds_of([named, other, with_truth]))) == 2
    assert list(at_odds_of([listed, replace(listed, folder="/")])) == []
