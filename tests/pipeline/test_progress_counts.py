"""What processes count for the progress that is shown, and that they never notice."""

import subprocess
import sys
import threading

import apache_beam as beam
import pytest

from pipeline.job_settings import Job
from pipeline.progress_counts import FOLDER, count, read_counts
from pipeline.records import Chunk, Source
from pipeline.stages.cut import CutShards
from pipeline.stages.load import load, rest_of_source
from tests.pipeline.shard_files import example, write_shard


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder that is counted in."""
    (tmp_path / "counts").mkdir()
    monkeypatch.setenv(FOLDER, str(tmp_path / "counts"))
    return tmp_path / "counts"


def test_counts_of_threads_and_processes_add_up(folder):
    def in_thread():
        for _ in range(100):
            count("images")

    threads = [threading.Thread(target=in_thread) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    code = "from pipeline.progress_counts import count; count('images', 5); count('loading', -1)"
    for _ in range(2):
        subprocess.run([sys.executable, "-c", code], check=True)
    found = read_counts(folder)
    assert (found["images"], found["loading"], found["done"]) == (410, -2, 0)


def test_nothing_is_counted_where_nobody_reads(folder, monkeypatch):
    monkeypatch.delenv(FOLDER)
    count("images")
    assert list(folder.iterdir()) == []


def test_a_folder_that_is_gone_or_damaged_breaks_nothing(folder, monkeypatch):
    (folder / "damaged").write_bytes(b"123")
    count("images", 3)
    assert read_counts(folder)["images"] == 3
    monkeypatch.setenv(FOLDER, str(folder / "gone"))
    count("images")
    assert read_counts(folder / "gone")["images"] == 0


def test_sources_are_counted_by_what_is_known_of_them(folder):
    sources = [
        Source("a.jpg", "a.jpg", "a.png"),
        Source("s", "s", "s", chunk=Chunk()),
        Source("t", "t", "t", chunk=Chunk(count=7)),
    ]
    with beam.Pipeline() as pipeline:
        pipeline | beam.Create(sources) | CutShards(Job.read_timeout)
    found = read_counts(folder)
    assert (found["images"], found["shards"], found["shards_read"]) == (8, 1, 0)


def test_records_of_a_shard_are_counted_as_they_are_read(folder, tmp_path):
    write_shard(tmp_path / "s.tfrecord", [example(image=b"a"), example(image=b"b")])
    whole = Source(str(tmp_path / "s.tfrecord"), "s", "s", chunk=Chunk())
    images = load(whole, str(tmp_path), scores=False)
    next(images)
    found = read_counts(folder)
    assert [found[name] for name in ("images", "records", "shards_read")] == [1, 1, 0]
    assert len(list(images)) == 1
    found = read_counts(folder)
    assert [found[name] for name in ("images", "records", "shards_read")] == [2, 2, 1]


def test_a_chunk_that_brings_less_than_was_known_is_corrected(folder):
    chunk = Source("s", "s", "s", chunk=Chunk(count=7))
    count("images", 7)
    assert len(list(rest_of_source(chunk, 2, TimeoutError("late")))) == 1
    # Two images, and the failure that stands for the rest.
    assert read_counts(folder)["images"] == 3
