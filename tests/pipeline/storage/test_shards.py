"""Shards: read, and cut into chunks, against what was written to them."""

import functools
import gzip
import io
import os
from dataclasses import replace
from typing import ClassVar

import pytest
from apache_beam.io.filesystem import BeamIOError

from pipeline.failures import Failure, InputLost
from pipeline.records import (
    Chunk,
    Finished,
    ImageRecord,
    Item,
    MetricsRow,
    Origin,
    Source,
    Truth,
    content_of,
)
from pipeline.storage import errors, shards
from pipeline.storage.shards import cut_shard, read_shard, rest_of_shard
from tests.pipeline.object_store import ObjectStore
from tests.pipeline.shard_files import example, write_shard


def source_of(path, **values):
    return Source(str(path), "s", "masks/s", stamp="9-1.5", chunk=Chunk(), **values)


def read_all(source):
    """Records, failures of records, failures of the shard."""
    attempts = list(read_shard(source))
    failures = [one.failure for one in attempts if one.failure is not None]
    return (
        [one.result for one in attempts if one.failure is None],
        [one for one in failures if one.stage == "read"],
        [one for one in failures if one.stage == "index"],
    )


def origins(records):
    return [(one.item.origin.number, one.item.origin.is_last) for one in records]


@pytest.mark.parametrize("count", [0, 1, 2, 70])
@pytest.mark.parametrize("suffix", [".tfrecord", ".tfrecord.gz"])
def test_every_record_of_a_shard_comes_once_and_in_order(tmp_path, count, suffix):
    path = tmp_path / f"s{suffix}"
    images = [b"image %d " % number * (number + 1) for number in range(count)]
    write_shard(path, [example(b"%d.jpg" % n, image) for n, image in enumerate(images)])
    records, failures, broken = read_all(source_of(path))
    assert [record.image for record in records] == images
    assert [(record.item.key, record.item.mask) for record in records] == [
        (f"s/{number}.jpg", f"masks/s/{number}.png") for number in range(count)
    ]
    # A resumed run has to know how many there are.
    assert origins(records) == [(number, number == count - 1) for number in range(count)]
    assert failures == broken == []


def test_records_carry_their_truth_and_unnamed_ones_their_number(tmp_path):
    path = tmp_path / "s.tfrecord"
    write_shard(path, [example(b"a", b"A", b"T"), example(None, b"B"), example(source=b"c")])
    (first, second), failures, _ = read_all(source_of(path))
    content = content_of("s/a", b"A", Truth(b"T"))
    origin = Origin("masks/s", "9-1.5", 0, False, str(path))
    item = Item("s/a", "masks/s/a.png", content, Truth(b"T"), origin=origin)
    assert first == ImageRecord(item, b"A")
    assert (second.item.key, second.item.truth) == ("s/000001", None)
    assert [failure.key for failure in failures] == ["s/c"]


def test_records_of_one_name_are_told_apart(tmp_path):
    path = tmp_path / "s.tfrecord"
    write_shard(path, [example(b"a.jpg", b"A"), example(b"a.jpg", b"B"), example(b"b.jpg", b"C")])
    items = [one.item for one in read_all(source_of(path))[0]]
    assert [item.key for item in items] == ["s/a.jpg", "s/a.jpg#1", "s/b.jpg"]
    assert len({item.mask for item in items}) == 3


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(shards, "CHUNK_BYTES", 300)


NAMES = [b"a.jpg", None, b"a.png", b"b.jpg", b"a.jpg", b"", b"b.jpg", b"c.jpg"] * 3


def test_chunks_give_together_what_the_shard_gives_alone(tmp_path, small_chunks):
    path = tmp_path / "s.tfrecord"
    records = [example(name, b"image %d" % n) for n, name in enumerate(NAMES)]
    write_shard(path, [*records[:9], b"\xff no example", *records[9:]])
    whole = source_of(path, size=path.stat().st_size)
    chunks = [one.result for one in cut_shard(whole)]
    assert len(chunks) > 3 and [one.chunk.is_last for one in chunks] == [
        *[False] * (len(chunks) - 1),
        True,
    ]
    # In any order.
    parts = {one.chunk.first: list(read_shard(one)) for one in reversed(chunks)}
    together = [one for first in sorted(parts) for one in parts[first]]
    assert together == list(read_shard(whole))
    assert len({one.result.item.mask for one in together if one.result}) == len(NAMES)


def test_what_is_finished_goes_with_the_chunk_that_has_it(tmp_path, small_chunks):
    path = tmp_path / "s.tfrecord"
    write_shard(path, [example(b"%d" % number, b"x" * 50) for number in range(20)])
    finished = tuple(
        Finished(MetricsRow(Item("", str(n), origin=Origin(number=n)), (1, 1), "ok", {}), True)
        for n in (0, 7, 19)
    )
    chunks = [one.result for one in cut_shard(source_of(path, finished=finished))]
    assert [one for chunk in chunks for one in chunk.finished] == list(finished)
    for chunk in chunks:
        end = chunk.chunk.first + chunk.chunk.count
        numbers = [one.row.item.origin.number for one in chunk.finished]
        assert all(chunk.chunk.first <= number < end for number in numbers)


def test_a_compressed_shard_is_not_cut(tmp_path, small_chunks):
    path = tmp_path / "s.tfrecord"
    write_shard(f"{path}.gz", [example(None, b"%d" % number) for number in range(70)])
    os.rename(f"{path}.gz", path)
    assert [one.result for one in cut_shard(source_of(path))] == [source_of(path)]


def test_a_shard_that_ends_early_is_cut_as_far_as_it_goes(tmp_path, small_chunks):
    path = tmp_path / "s.tfrecord"
    write_shard(path, [example(b"%d" % number, b"x" * 50) for number in range(20)])
    path.write_bytes(path.read_bytes()[:-9])
    *chunks, last = cut_shard(source_of(path))
    assert sum(one.result.chunk.count for one in chunks) == 19
    assert not any(one.result.chunk.is_last for one in chunks)
    assert (last.failure.key, last.failure.stage) == (f"{path}#19", "index")


def test_a_bad_record_is_one_failure_among_good_ones(tmp_path):
    path = tmp_path / "s.tfrecord"
    good = [example(b"%d" % number, b"image %d" % number) for number in range(40)]
    write_shard(path, [*good[:33], b"\xff no example", example(b"bare", None), *good[33:]])
    data = bytearray(path.read_bytes())
    data[len(good[0]) + 16 + 20] ^= 1  # in the data of record 1
    path.write_bytes(data)
    records, failures, broken = read_all(source_of(path))
    expected = [b"image %d" % number for number in range(40) if number != 1]
    assert [record.image for record in records] == expected
    assert [(one.key, one.stage, one.reason) for one in failures] == [
        ("s/000001", "read", "broken_record"),
        ("s/000033", "read", "not_an_example"),
        ("s/bare", "read", "missing_feature"),
    ]
    assert broken == []


@pytest.mark.parametrize("suffix", [".tfrecord", ".tfrecord.gz"])
@pytest.mark.parametrize("whole", [0, 3, 40])
def test_a_truncated_shard_gives_its_whole_records_and_one_failure(tmp_path, suffix, whole):
    records = [example(b"%d" % number, os.urandom(100)) for number in range(50)]
    plain = tmp_path / "plain.tfrecord"
    write_shard(plain, records)
    sizes = [len(record) + 16 for record in records]
    data = plain.read_bytes()[: sum(sizes[:whole]) + 5]
    path = tmp_path / f"s{suffix}"
    path.write_bytes(gzip.compress(data) if suffix.endswith("gz") else data)
    found, failures, broken = read_all(source_of(path))
    assert [record.item.key for record in found] == [f"s/{number}" for number in range(whole)]
    assert failures == []
    assert [(one.key, one.stage, one.reason) for one in broken] == [
        (f"{path}#{whole}", "index", "truncated_shard")
    ]


def test_a_gzip_file_cut_short_is_a_failure_after_its_first_records(tmp_path):
    path = tmp_path / "s.tfrecord.gz"
    write_shard(path, [example(b"%d" % number, os.urandom(1000)) for number in range(50)])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found, _, broken = read_all(source_of(path))
    assert 10 < len(found) < 50
    assert [one.stage for one in broken] == ["index"]


@pytest.mark.parametrize("name", ["s.tfrecord", "s.tfrecord.gz"])
def test_a_file_that_is_no_shard_is_one_failure(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"plain text, no records at all")
    records, failures, broken = read_all(source_of(path))
    assert records == failures == [] and len(broken) == 1


def test_a_shard_that_is_not_there_is_one_failure(tmp_path):
    records, failures, (failure,) = read_all(source_of(tmp_path / "s.tfrecord"))
    assert records == failures == [] and failure.key == f"{tmp_path}/s.tfrecord#0"


def test_a_chunk_whose_shard_lost_its_end_since_is_a_failure_from_there_on(tmp_path):
    path = tmp_path / "s.tfrecord"
    write_shard(path, [example(b"%d" % number, b"x") for number in range(5)])
    (source,) = (one.result for one in cut_shard(source_of(path)))
    write_shard(path, [example(b"%d" % number, b"x") for number in range(3)])
    records, failures, (failure,) = read_all(source)
    assert origins(records) == [(0, False), (1, False), (2, False)] and failures == []
    assert (failure.key, failure.reason) == (f"{path}#3", "truncated_shard")


def test_the_rest_of_a_chunk_is_one_failure_that_says_where():
    source = replace(source_of("s.tfrecord"), chunk=Chunk(9, first=32, count=4))
    rest = rest_of_shard(source, 2, OSError("gone")).failure
    assert rest == Failure("s.tfrecord#34", "index", "OSError", "gone")


def test_a_compressed_shard_under_a_plain_name_is_read(tmp_path):
    records = [example(b"%d.jpg" % number, b"image") for number in range(3)]
    write_shard(tmp_path / "s.tfrecord.gz", records)
    (tmp_path / "s.tfrecord.gz").rename(tmp_path / "s.tfrecord")
    found, failures, broken = read_all(source_of(tmp_path / "s.tfrecord"))
    assert [one.item.key for one in found] == ["s/0.jpg", "s/1.jpg", "s/2.jpg"]
    assert failures == broken == []


def test_a_record_whose_length_looks_like_a_compressed_file_is_read(tmp_path):
    empty = example(b"a.jpg", b"")
    # The first bytes of gzip, 1f 8b, as a length.
    record = example(b"a.jpg", b"x" * (0x8B1F - len(empty)))
    record = example(b"a.jpg", b"x" * (2 * 0x8B1F - len(empty) - len(record)))
    assert len(record) == 0x8B1F
    write_shard(tmp_path / "s.tfrecord", [record])
    found, failures, broken = read_all(source_of(tmp_path / "s.tfrecord"))
    assert len(found) == 1 and failures == broken == []


class Shaky(ObjectStore):
    """A store whose reads break off after so many bytes, with one error after the other."""

    errors: ClassVar[list[Exception]] = []

    @classmethod
    def scheme(cls):
        return "shaky"

    def open(self, path, *_, **__):
        file = super().open(path)
        if self.errors:
            file.read = functools.partial(self._read, file)
        return file

    def _read(self, file, size=-1):
        if file.tell() > 400 and self.errors:
            raise self.errors.pop()
        return io.BytesIO.read(file, size)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_shard_is_read_on_after_a_transient_error(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(errors, "PAUSES", (0,) * 5)
    path = tmp_path / f"s.tfrecord{suffix}"
    write_shard(path, [example(b"%d" % number, os.urandom(60)) for number in range(30)])
    whole = [(one.result.item.key, one.result.image) for one in read_shard(source_of(path))]
    monkeypatch.setattr(Shaky, "files", {"shaky://s": path.read_bytes()})
    monkeypatch.setattr(Shaky, "errors", [ConnectionResetError(), TimeoutError()])
    found = [(one.result.item.key, one.result.image) for one in read_shard(source_of("shaky://s"))]
    assert found == whole and Shaky.errors == []


def test_a_shard_that_is_refused_ends_the_job(tmp_path, monkeypatch):
    path = tmp_path / "s.tfrecord"
    write_shard(path, [example(b"%d" % number, b"x" * 60) for number in range(30)])
    refused = BeamIOError("refused", {"shaky://s": 403})
    monkeypatch.setattr(Shaky, "files", {"shaky://s": path.read_bytes()})
    for function in (read_shard, cut_shard):
        monkeypatch.setattr(Shaky, "errors", [refused])
        with pytest.raises(InputLost, match="permission is denied"):
            list(function(source_of("shaky://s")))
