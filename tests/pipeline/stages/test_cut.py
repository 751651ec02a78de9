"""Large shards are cut, all else passes."""

import apache_beam as beam
from apache_beam.testing.util import assert_that

from pipeline.failures import TimedOut
from pipeline.records import Chunk, Source
from pipeline.stages.cut import CutShards, rest_of_cut
from pipeline.storage import shards
from tests.pipeline.shard_files import example, write_shard


def test_large_shards_are_cut_and_all_else_passes_unread(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "CHUNK_BYTES", 1000)
    path = str(tmp_path / "s.tfrecord")
    write_shard(path, [example(None, b"x" * 100) for _ in range(50)])
    large = Source(path, "s", "masks/s", size=shards.CUT_BYTES + 1, chunk=Chunk())
    small = Source("/nowhere/t.tfrecord", "t", "masks/t", size=9, chunk=Chunk())
    photo = Source("/nowhere/a.jpg", "a.jpg", "masks/a.png", size=shards.CUT_BYTES + 1)

    def right(found):
        chunks = [one.chunk for one in found if one.path == path]
        assert len(chunks) > 3 and sum(one.count for one in chunks) == 50
        assert {one for one in found if one.path != path} == {small, photo}

    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        cut = pipeline | beam.Create([large, small, photo]) | CutShards(60)
        assert_that(cut.results, right)


def test_a_shard_that_is_not_cut_in_time_is_read_whole_and_one_cut_in_part_says_where():
    shard = Source("/s.tfrecord", "s", "masks/s", size=shards.CUT_BYTES + 1, chunk=Chunk())
    error = TimedOut("nothing came for 9 seconds")
    assert [one.result for one in rest_of_cut(shard, 0, error)] == [shard]
    (failure,) = (one.failure for one in rest_of_cut(shard, 3, error))
    assert (failure.key, failure.stage) == ("/s.tfrecord, after 3 chunks", "index")
