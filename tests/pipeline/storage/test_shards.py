"""Shards: indexed, cut into chunks and read, against what was written to them."""

import gzip
import os
from collections import Counter

import pytest

from pipeline.failures import Failure
from pipeline.records import ImageRecord, Item, Source, Truth, content_of
from pipeline.storage.mask_names import claims
from pipeline.storage.shards import CHUNK, index_shard, read_chunk, rest_of_chunk
from tests.pipeline.shard_files import example, write_shard


def index(path):
    """The keys, the chunks and the failures of a shard's index."""
    attempts = list(index_shard((str(path), "")))
    steps = [one.result for one in attempts if one.failure is None]
    keys = [step.key for step in steps if step.chunk is None]
    chunks = [step.chunk for step in steps if step.key is None]
    assert len(keys) + len(chunks) == len(steps)
    return keys, chunks, [one.failure for one in attempts if one.failure is not None]


def chunks_of(path):
    return index(path)[1]


def read_all(path):
    """What the pipeline does with one shard; records, failures of reading, failures of indexing."""
    keys, chunks, broken = index(path)
    loaded = []
    for source in chunks:
        loaded += read_chunk(source, {})
        assert len(loaded) == source.first + source.count
    assert [(one.failure or one.result.item).key for one in loaded] == keys
    records = [one.result for one in loaded if one.failure is None]
    return records, [one.failure for one in loaded if one.failure is not None], broken


@pytest.mark.parametrize("count", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 70])
@pytest.mark.parametrize("suffix", [".tfrecord", ".tfrecord.gz"])
def test_every_record_of_a_shard_comes_once_and_in_order(tmp_path, count, suffix):
    path = tmp_path / f"s{suffix}"
    images = [b"image %d " % number * (number + 1) for number in range(count)]
    write_shard(path, [example(b"%d.jpg" % n, image) for n, image in enumerate(images)])
    records, failures, broken = read_all(path)
    assert [record.image for record in records] == images
    assert [(record.item.key, record.item.mask) for record in records] == [
        (f"{number}.jpg", f"masks/{number}.png") for number in range(count)
    ]
    assert failures == broken == []


def test_chunks_can_be_read_alone_and_in_any_order(tmp_path):
    path = tmp_path / "s.tfrecord"
    write_shard(path, [example(None, b"%d" % number) for number in range(70)])
    sources = chunks_of(path)
    assert [source.count for source in sources] == [32, 32, 6]
    attempts = [one for source in reversed(sources) for one in read_chunk(source, {})]
    backwards = [one.result.image for one in attempts]
    assert Counter(backwards) == Counter(b"%d" % number for number in range(70))
    assert backwards[:6] == [b"%d" % number for number in range(64, 70)]


def test_a_compressed_shard_is_one_chunk(tmp_path):
    path = tmp_path / "s.tfrecord.gz"
    write_shard(path, [example(None, b"%d" % number) for number in range(70)])
    assert [source.count for source in chunks_of(path)] == [70]


def test_records_carry_their_truth_and_unnamed_ones_their_number(tmp_path):
    path = tmp_path / "s.tfrecord"
    write_shard(path, [example(b"a", b"A", b"T"), example(None, b"B"), example(source=b"c")])
    (first, second), failures, _ = read_all(path)
    content = content_of("a", b"A", Truth(b"T"))
    assert first == ImageRecord(Item("a", "masks/a.png", content, Truth(b"T")), b"A")
    assert (second.item.key, second.item.truth) == ("s.tfrecord#1", None)
    assert [failure.key for failure in failures] == ["c"]


def test_what_shares_its_name_with_another_image_goes_by_its_place(tmp_path):
    path = tmp_path / "s.tfrecord"
    write_shard(path, [example(b"a.jpg", b"A"), example(b"a.jpg", b"B"), example(b"b.jpg", b"C")])
    (source,) = chunks_of(path)
    taken = {claim: 2 for claim in claims("a.jpg")}
    items = [one.result.item for one in read_chunk(source, taken)]
    assert [item.key for item in items] == [f"{path}#0", f"{path}#1", "b.jpg"]
    assert len({item.mask for item in items}) == 3 and items[2].mask == "masks/b.png"


def test_a_bad_record_is_one_failure_among_good_ones(tmp_path):
    path = tmp_path / "s.tfrecord"
    good = [example(b"%d" % number, b"image %d" % number) for number in range(40)]
    write_shard(path, [*good[:33], b"\xff no example", example(b"bare", None), *good[33:]])
    data = bytearray(path.read_bytes())
    data[len(good[0]) + 16 + 20] ^= 1  # in the data of record 1
    path.write_bytes(data)
    records, failures, broken = read_all(path)
    expected = [b"image %d" % number for number in range(40) if number != 1]
    assert [record.image for record in records] == expected
    assert [(one.key, one.stage, one.reason) for one in failures] == [
        ("s.tfrecord#1", "read", "broken_record"),
        ("s.tfrecord#33", "read", "not_an_example"),
        ("bare", "read", "missing_feature"),
    ]
    assert broken == []


@pytest.mark.parametrize("suffix", [".tfrecord", ".tfrecord.gz"])
@pytest.mark.parametrize("whole", [0, 3, CHUNK, 40])
def test_a_truncated_shard_gives_its_whole_records_and_one_failure(tmp_path, suffix, whole):
    records = [example(b"%d" % number, os.urandom(100)) for number in range(50)]
    plain = tmp_path / "plain.tfrecord"
    write_shard(plain, records)
    sizes = [len(record) + 16 for record in records]
    data = plain.read_bytes()[: sum(sizes[:whole]) + 5]
    path = tmp_path / f"s{suffix}"
    path.write_bytes(gzip.compress(data) if suffix.endswith("gz") else data)
    found, failures, broken = read_all(path)
    assert [record.item.key for record in found] == [str(number) for number in range(whole)]
    assert failures == []
    assert [(one.key, one.stage, one.reason) for one in broken] == [
        (f"{path}#{whole}", "index", "truncated_shard")
    ]


def test_a_gzip_file_cut_short_is_a_failure_after_its_first_records(tmp_path):
    path = tmp_path / "s.tfrecord.gz"
    write_shard(path, [example(b"%d" % number, os.urandom(1000)) for number in range(50)])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found, _, broken = read_all(path)
    assert 10 < len(found) < 50
    assert [one.stage for one in broken] == ["index"]


@pytest.mark.parametrize("name", ["s.tfrecord", "s.tfrecord.gz"])
def test_a_file_that_is_no_shard_is_one_failure(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"plain text, no records at all")
    keys, chunks, broken = index(path)
    assert keys == chunks == [] and len(broken) == 1


def test_a_shard_that_is_not_there_is_one_failure(tmp_path):
    keys, chunks, (failure,) = index(tmp_path / "s.tfrecord")
    assert keys == chunks == [] and failure.key == f"{tmp_path}/s.tfrecord#0"


def test_a_shard_that_vanished_loses_each_of_its_records_by_name(tmp_path):
    source = Source(str(tmp_path / "s.tfrecord"), first=32, count=3)
    failures = [one.failure for one in read_chunk(source, {})]
    assert [one.key for one in failures] == [f"{tmp_path}/s.tfrecord#{n}" for n in (32, 33, 34)]
    assert {one.stage for one in failures} == {"read"}


def test_a_shard_that_lost_its_end_since_loses_each_of_those_records(tmp_path):
    path = tmp_path / "s.tfrecord"
    write_shard(path, [example(b"%d" % number, b"x") for number in range(5)])
    (source,) = chunks_of(path)
    write_shard(path, [example(b"%d" % number, b"x") for number in range(3)])
    attempts = list(read_chunk(source, {}))
    assert [one.failure and one.failure.reason for one in attempts] == [
        *[None] * 3,
        *["truncated_shard"] * 2,
    ]


def test_the_rest_of_a_chunk_is_a_failure_for_each_record_that_has_not_come():
    source = Source("s.tfrecord", first=32, count=4)
    rest = [one.failure for one in rest_of_chunk(source, 2, OSError("gone"))]
    assert rest == [Failure(f"s.tfrecord#{n}", "read", "OSError", "gone") for n in (34, 35)]


def test_a_compressed_shard_under_a_plain_name_is_read(tmp_path):
    records = [example(b"%d.jpg" % number, b"image") for number in range(3)]
    write_shard(tmp_path / "s.tfrecord.gz", records)
    (tmp_path / "s.tfrecord.gz").rename(tmp_path / "s.tfrecord")
    found, failures, broken = read_all(tmp_path / "s.tfrecord")
    assert [one.item.key for one in found] == ["0.jpg", "1.jpg", "2.jpg"]
    assert failures == broken == []


def test_a_record_whose_length_looks_like_a_compressed_file_is_read(tmp_path):
    empty = example(b"a.jpg", b"")
    # The first bytes of gzip, 1f 8b, as a length.
    record = example(b"a.jpg", b"x" * (0x8B1F - len(empty)))
    record = example(b"a.jpg", b"x" * (2 * 0x8B1F - len(empty) - len(record)))
    assert len(record) == 0x8B1F
    write_shard(tmp_path / "s.tfrecord", [record])
    found, failures, broken = read_all(tmp_path / "s.tfrecord")
    assert len(found) == 1 and failures == broken == []
