"""Finding and reading images: files, folders, globs and shards, against plain loops."""

import gzip
import io
import os
from collections import Counter
from pathlib import Path

import apache_beam as beam
import pytest
import tensorflow as tf
from apache_beam.testing.util import assert_that, equal_to
from PIL import Image

from pipeline.read import CHUNK, ReadImages, ReadPairs, index_shard, load
from pipeline.records import Failure, ImageRecord, Source


def png(shade=0):
    buffer = io.BytesIO()
    Image.new("L", (2, 2), shade).save(buffer, "PNG")
    return buffer.getvalue()


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


def read_all(path):
    """What the pipeline does with one shard; records, failures of reading, failures of indexing."""
    records, failures, broken = [], [], []
    for found in index_shard(str(path)):
        if isinstance(found, Failure):
            broken.append(found)
            continue
        source, names = found
        loaded = list(load(source, {}))
        assert len(loaded) == len(names) == source.count
        for one, name in zip(loaded, names, strict=True):
            assert one.key == name
            (records if isinstance(one, ImageRecord) else failures).append(one)
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
    chunks = [source for source, _ in index_shard(str(path))]
    assert [source.count for source in chunks] == [32, 32, 6]
    backwards = [record.image for source in reversed(chunks) for record in load(source, {})]
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
    data = io.BytesIO()
    plain = tmp_path / "plain.tfrecord"
    write_shard(plain, records)
    data = plain.read_bytes()[: whole * (len(records[-1]) + 16)]
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
    assert [type(found) for found in index_shard(str(path))] == [Failure]


def test_a_shard_that_vanished_loses_each_of_its_records_by_name(tmp_path):
    lost = list(load(Source(str(tmp_path / "s.tfrecord"), first=32, count=3), {}))
    assert [one.key for one in lost] == [f"{tmp_path}/s.tfrecord#{n}" for n in (32, 33, 34)]
    assert {one.stage for one in lost} == {"read"}


def test_a_shard_that_lost_its_end_since_loses_each_of_those_records(tmp_path):
    path = tmp_path / "s.tfrecord"
    write_shard(path, [example(b"%d" % number, b"x") for number in range(5)])
    ((source, _),) = index_shard(str(path))
    write_shard(path, [example(b"%d" % number, b"x") for number in range(3)])
    loaded = list(load(source, {}))
    assert [type(one) for one in loaded] == [ImageRecord] * 3 + [Failure] * 2


# Image files


def test_an_image_file_comes_with_its_truth(tmp_path):
    lay(tmp_path, "in/c/a.jpg", "truth/c/a.png")
    source = Source(f"{tmp_path}/in/c/a.jpg", f"{tmp_path}/in/", f"{tmp_path}/truth/c/a.png")
    (record,) = load(source, {})
    assert record == ImageRecord("c/a.jpg", "masks/c/a.png", b"in/c/a.jpg", b"truth/c/a.png")


def test_an_image_file_named_like_a_compressed_one_is_read_as_it_is(tmp_path):
    data = gzip.compress(b"x")
    (tmp_path / "a.gz").write_bytes(data)
    (record,) = load(Source(f"{tmp_path}/a.gz", f"{tmp_path}/"), {})
    assert record.image == data


def test_a_file_that_cannot_be_read_is_a_failure(tmp_path):
    (failure,) = load(Source(f"{tmp_path}/a.jpg", f"{tmp_path}/"), {})
    assert (failure.key, failure.stage) == ("a.jpg", "read")


# Transforms


def run_read(transform, images, failures):
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        read = pipeline | transform
        shown = read["images"] | beam.Map(lambda one: (one.key, one.mask, one.image, one.truth))
        assert_that(shown, equal_to(images), label="images")
        shown = read["failures"] | beam.Map(lambda one: (one.key, one.stage, one.reason))
        assert_that(shown, equal_to(failures), label="failures")


def test_folders_shards_and_truth_come_together_each_file_once(tmp_path):
    lay(tmp_path, "one/a.jpg", "one/c/b.jpg", "one/alone.jpg", "two/a.jpg", "two/b.webp")
    lay(tmp_path, "truth/a.png", "truth/c/b.png", "truth/nobody.png", "two/b.jpg")
    write_shard(tmp_path / "two" / "s.tfrecord", [example(b"a.jpg", b"S", b"T"), b"\xff"])
    (tmp_path / "two" / "t.tfrecord").write_bytes(b"cut")
    patterns = [f"{tmp_path}/one", f"{tmp_path}/two", f"{tmp_path}/one/a.jpg", f"{tmp_path}/tw?/*"]
    rows = [
        ("one", "a.jpg", "truth/a.png"),
        ("one", "c/b.jpg", "truth/c/b.png"),
        ("one", "alone.jpg", None),
        # The folder ".../" of the overlapping glob comes before ".../two/".
        ("", "two/a.jpg", None),
        ("", "two/b.webp", None),
        ("", "two/b.jpg", None),
    ]
    masks = {
        "c/b.jpg": "masks/c/b.png",
        "alone.jpg": "masks/alone.png",
        "two/a.jpg": "masks/two/a.png",
        "two/b.webp": "masks/two/b.webp.png",
        "two/b.jpg": "masks/two/b.jpg.png",
    }
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        read = pipeline | ReadImages(patterns, "auto", f"{tmp_path}/truth")

        def check(found):
            files = [one for one in found if one.image != b"S"]
            assert sorted((one.key, one.image, one.truth) for one in files) == sorted(
                (key, str(Path(top, key)).encode(), truth and truth.encode())
                for top, key, truth in rows
            )
            assert {one.key: one.mask for one in files if one.key != "a.jpg"} == masks
            # The file's and the record's key are the same, their masks are not.
            same = [one for one in found if one.key == "a.jpg"]
            assert len({one.mask for one in same}) == len(same) == 2
            assert [one.truth for one in found if one.image == b"S"] == [b"T"]

        assert_that(read["images"], check, label="images")
        shown = read["failures"] | beam.Map(lambda one: (one.key, one.reason))
        failures = [
            ("s.tfrecord#1", "not_an_example"),
            (f"{tmp_path}/two/t.tfrecord#0", "truncated_shard"),
        ]
        assert_that(shown, equal_to(failures), label="failures")


def test_two_folders_with_the_same_names_share_truth_but_no_mask(tmp_path):
    lay(tmp_path, "one/a.jpg", "two/a.jpg", "truth/a.png", "truth/a.gif")
    patterns = [f"{tmp_path}/one", f"{tmp_path}/two"]
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        read = pipeline | ReadImages(patterns, "images", f"{tmp_path}/truth/*")

        def check(found):
            assert {one.image for one in found} == {b"one/a.jpg", b"two/a.jpg"}
            assert {one.key for one in found} == {"a.jpg"}
            assert len({one.mask for one in found}) == len(found) == 2
            assert {one.truth for one in found} == {b"truth/a.gif"}

        assert_that(read["images"], check)


def test_no_truth_pattern_means_no_truth(tmp_path):
    lay(tmp_path, "a.jpg")
    run_read(
        ReadImages([str(tmp_path)], "auto", None), [("a.jpg", "masks/a.png", b"a.jpg", None)], []
    )


def test_pairs_are_matched_by_stem_and_what_has_no_partner_fails(tmp_path):
    lay(tmp_path, "masks/a.png", "masks/c/b.png", "masks/alone.png")
    lay(tmp_path, "truth/a.jpg", "truth/c/b.png", "truth/lonely.png")
    run_read(
        ReadPairs(f"{tmp_path}/masks", f"{tmp_path}/truth"),
        [
            ("a.png", f"{tmp_path}/masks/a.png", b"masks/a.png", b"truth/a.jpg"),
            ("c/b.png", f"{tmp_path}/masks/c/b.png", b"masks/c/b.png", b"truth/c/b.png"),
        ],
        [("alone.png", "read", "missing_truth"), ("lonely.png", "read", "missing_mask")],
    )
