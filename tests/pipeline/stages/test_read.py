"""Patterns to images: files, folders, globs and shards, with their truth."""

import io
from pathlib import Path

import apache_beam as beam
import pytest
import tensorflow as tf
from apache_beam.testing.util import assert_that, equal_to
from PIL import Image

from pipeline.stages.read import ReadImages, ReadPairs


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
    patterns.append(f"{tmp_path}/two/../one")
    rows = [
        (f"{tmp_path}/one/a.jpg", "one/a.jpg", "truth/a.png"),
        ("c/b.jpg", "one/c/b.jpg", "truth/c/b.png"),
        ("alone.jpg", "one/alone.jpg", None),
        # The folder ".../" of the overlapping glob comes before ".../two/".
        ("two/a.jpg", "two/a.jpg", None),
        ("two/b.webp", "two/b.webp", None),
        ("two/b.jpg", "two/b.jpg", None),
    ]
    masks = {
        "c/b.jpg": "masks/c/b.png",
        "alone.jpg": "masks/alone.png",
        "two/a.jpg": "masks/two/a.png",
        "two/b.webp": "masks/two/b.webp.png",
        "two/b.jpg": "masks/two/b.jpg.png",
    }
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        read = pipeline | ReadImages(patterns, "auto", f"{tmp_path}/truth", 60)

        def check(found):
            files = [one for one in found if one.image != b"S"]
            assert sorted((one.key, one.image, one.truth) for one in files) == sorted(
                (key, image.encode(), truth and truth.encode()) for key, image, truth in rows
            )
            assert {one.key: one.mask for one in files if one.image != b"one/a.jpg"} == masks
            # The file and the record have the same name: their masks go by where they are from.
            assert [(one.key, one.truth) for one in found if one.image == b"S"] == [
                (f"{tmp_path}/two/s.tfrecord#0", b"T")
            ]
            assert len({one.mask for one in found}) == len(found)

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
        read = pipeline | ReadImages(patterns, "images", f"{tmp_path}/truth/*", 60)

        def check(found):
            assert {one.key: one.image for one in found} == {
                f"{tmp_path}/one/a.jpg": b"one/a.jpg",
                f"{tmp_path}/two/a.jpg": b"two/a.jpg",
            }
            assert len({one.mask for one in found}) == len(found) == 2
            assert {one.truth for one in found} == {b"truth/a.gif"}

        assert_that(read["images"], check)


@pytest.mark.parametrize("truth", [".", "../set"])
def test_a_photo_is_no_truth_of_its_own(tmp_path, monkeypatch, truth):
    folder = tmp_path / "set"
    folder.mkdir()
    lay(folder, "a.jpg", "a.png", "b.jpg")
    monkeypatch.chdir(folder)
    run_read(
        ReadImages([f"{folder}/*.jpg"], "auto", truth, 60),
        [
            ("a.jpg", "masks/a.png", b"a.jpg", b"a.png"),
            ("b.jpg", "masks/b.png", b"b.jpg", None),
        ],
        [],
    )


def test_no_truth_pattern_means_no_truth(tmp_path):
    lay(tmp_path, "a.jpg")
    run_read(
        ReadImages([str(tmp_path)], "auto", None, 60),
        [("a.jpg", "masks/a.png", b"a.jpg", None)],
        [],
    )


def test_pairs_are_matched_by_stem_and_what_has_no_partner_fails(tmp_path):
    lay(tmp_path, "masks/a.png", "masks/c/b.png", "masks/alone.png")
    lay(tmp_path, "truth/a.jpg", "truth/c/b.png", "truth/lonely.png")
    run_read(
        ReadPairs(f"{tmp_path}/masks", f"{tmp_path}/truth", 60),
        [
            ("a.png", f"{tmp_path}/masks/a.png", b"masks/a.png", b"truth/a.jpg"),
            ("c/b.png", f"{tmp_path}/masks/c/b.png", b"masks/c/b.png", b"truth/c/b.png"),
        ],
        [("alone.png", "read", "missing_truth"), ("lonely.png", "read", "missing_mask")],
    )
