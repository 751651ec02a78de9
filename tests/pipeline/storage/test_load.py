"""Reading images and shards, against plain loops; what an earlier run has finished is left out."""

import gzip
import os
import tracemalloc
from collections import Counter
from pathlib import Path

import pytest
import tensorflow as tf
from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems

from pipeline.job_settings import Job
from pipeline.records import Done, Failure, ImageRecord, Source, content_of
from pipeline.stages.journal import from_line, journal_files, start
from pipeline.storage.load import CHUNK, MAX_FILE_BYTES, index_shard, load, load_pair


def lay(root, *names):
    """Files that hold their own names."""
    for name in names:
        path = Path(root, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def example(name, image, truth=None):
    values = {"image/filename": name, "image/encoded": image}
    values["image/segmentation/class/encoded"] = truth
    return tf.train.Example(
        features=tf.train.Features(
            feature={
                key: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
                for key, value in values.items()
                if value is not None
            }
        )
    ).SerializeToString()


def write_shard(path, records):
    options = tf.io.TFRecordOptions("GZIP") if str(path).endswith(".gz") else None
    with tf.io.TFRecordWriter(str(path), options) as writer:
        for record in records:
            writer.write(record)


def index(path):
    return list(index_shard((str(path), "")))


def chunks(path):
    return [one for one in index(path) if isinstance(one, Source)]


def read_all(path):
    """What the pipeline does with one shard; records, failures of reading, failures of indexing."""
    found = index(path)
    broken = [one for one in found if isinstance(one, Failure)]
    keys = [one for one in found if isinstance(one, str)]
    loaded = []
    for source in chunks(path):
        loaded += load(source, {})
        assert len(loaded) == source.first + source.count
    assert [one.key for one in loaded] == keys
    records = [one for one in loaded if isinstance(one, ImageRecord)]
    failures = [one for one in loaded if isinstance(one, Failure)]
    assert len(records) + len(failures) == len(loaded)
    return records, failures, broken


# Patterns


@pytest.mark.parametrize("count", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 70])
@pytest.mark.parametrize("suffix", [".tfrecord", ".tfrecord.gz"])
def test_every_record_of_a_shard_comes_once_and_in_order(tmp_path, count, suffix):
    path = tmp_path / f"s{suffix}"
    images = [b"image %d " % number * (number + 1) for number in range(count)]
    write_shard(path, [example(b"%d.jpg" % n, image) for n, image in enumerate(images)])
    records, failures, broken = read_all(path)
    assert [record.image for record in records] == images
    assert [record.key for record in records] == [f"{number}.jpg" for number in range(count)]
    assert [record.mask for record in records] == [f"masks/{number}.png" for number in range(count)]
    assert failures == broken == []


def test_chunks_can_be_read_alone_and_in_any_order(tmp_path):
    path = tmp_path / "s.tfrecord"
    write_shard(path, [example(None, b"%d" % number) for number in range(70)])
    sources = chunks(path)
    assert [source.count for source in sources] == [32, 32, 6]
    backwards = [record.image for source in reversed(sources) for record in load(source, {})]
    assert Counter(backwards) == Counter(b"%d" % number for number in range(70))
    assert backwards[:6] == [b"%d" % number for number in range(64, 70)]


def test_records_carry_their_truth_and_unnamed_ones_their_number(tmp_path):
    path = tmp_path / "s.tfrecord"
    write_shard(path, [example(b"a", b"A", b"T"), example(None, b"B")])
    (first, second), _, _ = read_all(path)
    assert (first.key, first.truth) == ("a", b"T")
    assert (second.key, second.truth) == ("s.tfrecord#1", None)


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
    assert [record.key for record in found] == [str(number) for number in range(whole)]
    assert failures == []
    assert [(one.key, one.reason) for one in broken] == [(f"{path}#{whole}", "truncated_shard")]


def test_a_gzip_file_cut_short_is_a_failure(tmp_path):
    path = tmp_path / "s.tfrecord.gz"
    write_shard(path, [example(b"%d" % number, os.urandom(1000)) for number in range(50)])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found, _, broken = read_all(path)
    assert 10 < len(found) < 50
    assert len(broken) == 1


@pytest.mark.parametrize("name", ["s.tfrecord", "s.tfrecord.gz"])
def test_a_file_that_is_no_shard_is_one_failure(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"plain text, no records at all")
    assert [type(found) for found in index(path)] == [Failure]


def test_a_shard_that_vanished_loses_each_of_its_records_by_name(tmp_path):
    failures = list(load(Source(str(tmp_path / "s.tfrecord"), first=32, count=3), {}))
    assert [one.key for one in failures] == [f"{tmp_path}/s.tfrecord#{n}" for n in (32, 33, 34)]
    assert {one.stage for one in failures} == {"read"}


def test_a_shard_that_lost_its_end_since_loses_each_of_those_records(tmp_path):
    path = tmp_path / "s.tfrecord"
    write_shard(path, [example(b"%d" % number, b"x") for number in range(5)])
    (source,) = chunks(path)
    write_shard(path, [example(b"%d" % number, b"x") for number in range(3)])
    loaded = list(load(source, {}))
    assert [type(one) for one in loaded] == [ImageRecord] * 3 + [Failure] * 2


# Image files


def test_an_image_file_comes_with_its_truth(tmp_path):
    lay(tmp_path, "in/c/a.jpg", "truth/c/a.png")
    source = Source(f"{tmp_path}/in/c/a.jpg", f"{tmp_path}/in/", f"{tmp_path}/truth/c/a.png")
    (record,) = load(source, {})
    content = content_of("c/a.jpg", b"in/c/a.jpg", b"truth/c/a.png")
    assert record == ImageRecord(
        "c/a.jpg", "masks/c/a.png", b"in/c/a.jpg", b"truth/c/a.png", content
    )


def test_an_image_file_named_like_a_compressed_one_is_read_as_it_is(tmp_path):
    data = gzip.compress(b"x")
    (tmp_path / "a.gz").write_bytes(data)
    (record,) = load(Source(f"{tmp_path}/a.gz", f"{tmp_path}/"), {})
    assert record.image == data


def test_a_file_that_cannot_be_read_is_a_failure(tmp_path):
    (failure,) = load(Source(f"{tmp_path}/a.jpg", f"{tmp_path}/"), {})
    assert (failure.key, failure.stage) == ("a.jpg", "read")


def test_an_image_whose_truth_cannot_be_read_is_read_and_says_why(tmp_path):
    lay(tmp_path, "a.jpg")
    source = Source(f"{tmp_path}/a.jpg", f"{tmp_path}/", f"{tmp_path}/a.png")
    (record,) = load(source, {})
    assert record.image == b"a.jpg"
    assert isinstance(record.truth, Failure)
    assert (record.truth.key, record.truth.stage) == ("a.jpg", "read")
    # Once it can be read, the image is done again.
    lay(tmp_path, "a.png")
    (after,) = load(source, {})
    assert after.truth == b"a.png"
    assert len({record.content, after.content, content_of("a.jpg", b"a.jpg", None)}) == 3
    # But what is finished with it, is not given up for a truth that cannot be read for a while.
    start(Job(output=f"{tmp_path}/out"))
    Path(tmp_path, "a.png").unlink()
    (failure,) = load(source, {}, {after.mask: after.content}, f"{tmp_path}/out")
    assert failure == record.truth
    assert not journal_files(f"{tmp_path}/out")


def test_a_file_larger_than_any_image_is_a_failure_and_is_not_held(tmp_path):
    with (tmp_path / "a.jpg").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    tracemalloc.start()
    (failure,) = load(Source(f"{tmp_path}/a.jpg", f"{tmp_path}/"), {})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (failure.stage, failure.reason) == ("read", "too_large")
    assert peak < MAX_FILE_BYTES + (8 << 20)


# What is done


def test_what_is_finished_is_not_read_again_unless_it_has_changed(tmp_path):
    lay(tmp_path, "in/a.jpg", "in/b.jpg", "truth/a.png", "truth/b.png", "out/masks/a.png")
    a, b = (
        Source(f"{tmp_path}/in/{name}.jpg", f"{tmp_path}/in/", f"{tmp_path}/truth/{name}.png")
        for name in "ab"
    )
    finished = {record.mask: record.content for one in (a, b) for record in load(one, {})}
    out = str(tmp_path / "out")
    start(Job(out))
    assert list(load(a, {}, finished, out)) == [Done("masks/a.png")]
    # Its mask is gone.
    assert [type(one) for one in load(b, {}, finished, out)] == [ImageRecord]
    lay(tmp_path, "out/masks/b.png")
    assert list(load(b, {}, finished, out)) == [Done("masks/b.png")]
    assert journal_files(out) == []
    (tmp_path / "truth" / "b.png").write_bytes(b"another")
    assert [type(one) for one in load(b, {}, finished, out)] == [ImageRecord]
    (tmp_path / "in" / "a.jpg").write_bytes(b"another")
    assert [type(one) for one in load(a, {}, finished, out)] == [ImageRecord]
    assert len(list(Path(out).glob("masks/*"))) == 2
    # Whatever happens to their new masks, the old rows are no longer theirs.
    rows = [from_line(Path(path).read_text()) for path in journal_files(out)]
    assert [(row.mask, row.content) for row in rows] == [("masks/b.png", ""), ("masks/a.png", "")]


def test_storage_that_fails_while_what_is_finished_is_looked_for_costs_one_image(
    tmp_path, monkeypatch
):
    lay(tmp_path, "in/a.jpg")
    source = Source(f"{tmp_path}/in/a.jpg", f"{tmp_path}/in/")
    (record,) = load(source, {})

    def fail(_):
        raise BeamIOError("the bucket does not answer")

    monkeypatch.setattr(FileSystems, "exists", fail)
    (failure,) = load(source, {}, {record.mask: record.content}, str(tmp_path))
    assert (failure.key, failure.stage, failure.reason) == ("a.jpg", "read", "BeamIOError")
    assert "does not answer" in failure.message


def test_a_finished_record_of_a_shard_is_not_read_again(tmp_path):
    write_shard(tmp_path / "s.tfrecord", [example(b"a", b"A", b"T"), example(b"b", b"B")])
    lay(tmp_path, "masks/a.png", "masks/b.png")
    (source,) = chunks(tmp_path / "s.tfrecord")
    first, second = load(source, {})
    found = list(load(source, {}, {first.mask: first.content}, str(tmp_path)))
    assert found == [Done("masks/a.png"), second]


def test_a_finished_pair_is_not_scored_again(tmp_path):
    lay(tmp_path, "a.png", "t.png")
    pair = ("a", f"{tmp_path}/a.png", f"{tmp_path}/t.png")
    (record,) = load_pair(pair)
    assert (record.key, record.mask) == pair[:2]
    assert (record.image, record.truth) == (b"a.png", b"t.png")
    assert list(load_pair(pair, {record.mask: record.content})) == [Done(record.mask)]
    (tmp_path / "t.png").write_bytes(b"another")
    assert list(load_pair(pair, {record.mask: record.content})) != [Done(record.mask)]


def test_contents_differ_by_name_image_truth_and_where_one_ends():
    contents = [
        content_of(*values)
        for values in (
            ("a", b"b", None),
            ("b", b"b", None),
            ("a", b"c", None),
            ("a", b"b", b"c"),
            ("ab", b"", None),
            ("a", b"bc", None),
            ("\udcff", b"b", None),
        )
    ]
    assert len(set(contents)) == len(contents)
    assert content_of("a", b"b", None) == contents[0]
