"""Patterns to images: files, folders, globs and shards, with their truth."""

import gzip

import apache_beam as beam
from apache_beam.testing.util import assert_that, equal_to

from pipeline.failures import Failure, TimedOut
from pipeline.records import ImageRecord, Item, Source, Truth, content_of
from pipeline.stages.read import ReadImages, ReadMasks, read_pair, read_source, rest_of_source
from pipeline.storage.mask_names import claims
from tests.pipeline.shard_files import example, lay, write_shard

# Functions


def read_one(source, taken=()):
    (attempt,) = read_source(source, dict.fromkeys(taken, 2))
    return attempt


def test_an_image_file_comes_with_its_truth(tmp_path):
    lay(tmp_path, "in/c/a.jpg", "truth/c/a.png")
    source = Source(f"{tmp_path}/in/c/a.jpg", f"{tmp_path}/in/", f"{tmp_path}/truth/c/a.png")
    truth = Truth(b"truth/c/a.png")
    content = content_of("c/a.jpg", b"in/c/a.jpg", truth)
    item = Item("c/a.jpg", "masks/c/a.png", content, truth)
    assert read_one(source).result == ImageRecord(item, b"in/c/a.jpg")


def test_an_image_file_named_like_a_compressed_one_is_read_as_it_is(tmp_path):
    data = gzip.compress(b"x")
    (tmp_path / "a.gz").write_bytes(data)
    assert read_one(Source(f"{tmp_path}/a.gz", f"{tmp_path}/")).result.image == data


def test_what_other_images_claim_too_is_not_taken(tmp_path):
    lay(tmp_path, "a.jpg")
    source = Source(f"{tmp_path}/a.jpg", f"{tmp_path}/")
    assert read_one(source, claims("a.png")).result.item.mask == "masks/a.jpg.png"
    assert read_one(source, claims("a.jpg")).result.item.key == f"{tmp_path}/a.jpg"


def test_a_file_that_cannot_be_read_is_a_failure(tmp_path):
    failure = read_one(Source(f"{tmp_path}/a.jpg", f"{tmp_path}/")).failure
    assert (failure.key, failure.stage) == ("a.jpg", "read")


def test_an_image_whose_truth_cannot_be_read_is_read_and_says_why(tmp_path):
    lay(tmp_path, "a.jpg")
    source = Source(f"{tmp_path}/a.jpg", f"{tmp_path}/", f"{tmp_path}/a.png")
    record = read_one(source).result
    assert record.image == b"a.jpg"
    assert (record.item.truth.failure.key, record.item.truth.failure.stage) == ("a.jpg", "read")
    assert record.item.truth.encoded == b""
    # Once it can be read, the image is another, so that it is done again.
    lay(tmp_path, "a.png")
    after = read_one(source).result
    assert after.item.truth == Truth(b"a.png")
    without = content_of("a.jpg", b"a.jpg", None)
    assert len({record.item.content, after.item.content, without}) == 3


def test_a_chunk_of_a_shard_is_a_source_too(tmp_path):
    path = str(tmp_path / "s.tfrecord")
    write_shard(path, [example(b"a.jpg", b"A"), example(b"b.jpg", b"B"), b"\xff"])
    first, second, third = read_source(Source(path, count=3), {})
    assert [one.result.image for one in (first, second)] == [b"A", b"B"]
    assert third.failure.reason == "not_an_example"


def test_the_rest_of_a_source_is_a_failure_for_each_image_that_has_not_come():
    error = TimedOut("nothing came for 9 seconds")

    def keys(source, count):
        failures = [one.failure for one in rest_of_source(source, count, error)]
        assert all((one.stage, one.reason) == ("read", "timed_out") for one in failures)
        return [one.key for one in failures]

    assert keys(Source("/in/c/a.jpg", "/in/"), 0) == ["c/a.jpg"]
    assert keys(Source("/s.tfrecord", first=32, count=4), 1) == [
        f"/s.tfrecord#{number}" for number in (33, 34, 35)
    ]


def test_a_mask_to_be_scored_is_read_with_its_truth(tmp_path):
    lay(tmp_path, "a.png", "t.png")
    (attempt,) = read_pair(("c/a.png", f"{tmp_path}/a.png", f"{tmp_path}/t.png"))
    truth = Truth(b"t.png")
    content = content_of("c/a.png", b"a.png", truth)
    item = Item("c/a.png", f"{tmp_path}/a.png", content, truth)
    assert attempt.result == ImageRecord(item, b"a.png")


def test_a_mask_whose_truth_cannot_be_read_is_not_scored(tmp_path):
    lay(tmp_path, "a.png")
    (attempt,) = read_pair(("a.png", f"{tmp_path}/a.png", f"{tmp_path}/t.png"))
    assert (attempt.failure.key, attempt.failure.stage) == ("a.png", "read")


def test_a_mask_or_truth_without_its_partner_is_a_failure():
    (attempt,) = read_pair(("a.png", "a.png", None))
    assert attempt.failure == Failure(
        "a.png", "read", "missing_truth", "no truth for the mask a.png"
    )
    (attempt,) = read_pair(("a.png", None, "a.png"))
    assert attempt.failure == Failure(
        "a.png", "read", "missing_mask", "no mask for the truth a.png"
    )


# In a pipeline


def truth_of(record):
    return record.item.truth and record.item.truth.encoded


def test_folders_shards_and_truth_come_together_each_file_once(tmp_path):
    lay(tmp_path, "one/a.jpg", "one/c/b.jpg", "one/alone.jpg", "two/a.jpg", "two/b.webp")
    lay(tmp_path, "truth/a.png", "truth/c/b.png", "truth/nobody.png", "two/b.jpg")
    write_shard(tmp_path / "two" / "s.tfrecord", [example(b"a.jpg", b"S", b"T"), b"\xff"])
    (tmp_path / "two" / "t.tfrecord").write_bytes(b"cut")
    patterns = ("one", "two", "one/a.jpg", "tw?/*", "two/../one")
    rows = [
        (f"{tmp_path}/one/a.jpg", "one/a.jpg", b"truth/a.png"),
        ("c/b.jpg", "one/c/b.jpg", b"truth/c/b.png"),
        ("alone.jpg", "one/alone.jpg", None),
        # The folder ".../" of the overlapping glob comes before ".../two/".
        ("two/a.jpg", "two/a.jpg", None),
        ("two/b.webp", "two/b.webp", None),
        ("two/b.jpg", "two/b.jpg", None),
        # The file and the record have the same name: their keys are where they are from.
        (f"{tmp_path}/two/s.tfrecord#0", "S", b"T"),
    ]
    masks = {
        "c/b.jpg": "masks/c/b.png",
        "alone.jpg": "masks/alone.png",
        "two/a.jpg": "masks/two/a.png",
        "two/b.webp": "masks/two/b.webp.png",
        "two/b.jpg": "masks/two/b.jpg.png",
    }

    def check(found):
        assert sorted((one.item.key, one.image, truth_of(one)) for one in found) == sorted(
            (key, image.encode(), truth) for key, image, truth in rows
        )
        named = {one.item.key: one.item.mask for one in found}
        assert masks.items() <= named.items() and len(set(named.values())) == len(found)

    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        patterns = tuple(f"{tmp_path}/{pattern}" for pattern in patterns)
        read = pipeline | ReadImages(patterns, "auto", f"{tmp_path}/truth", 60)
        assert_that(read.results, check, label="images")
        shown = read.failures | beam.Map(lambda one: (one.key, one.reason))
        failures = [
            ("s.tfrecord#1", "not_an_example"),
            (f"{tmp_path}/two/t.tfrecord#0", "truncated_shard"),
        ]
        assert_that(shown, equal_to(failures), label="failures")
    counted = {
        one.key.metric.name: one.committed for one in pipeline.result.metrics().query()["counters"]
    }
    assert counted == {"read": 7}


def test_two_folders_with_the_same_names_share_truth_but_no_mask(tmp_path):
    lay(tmp_path, "one/a.jpg", "two/a.jpg", "truth/a.png", "truth/a.gif")

    def check(found):
        assert {one.item.key: one.image for one in found} == {
            f"{tmp_path}/one/a.jpg": b"one/a.jpg",
            f"{tmp_path}/two/a.jpg": b"two/a.jpg",
        }
        assert len({one.item.mask for one in found}) == len(found) == 2
        assert {truth_of(one) for one in found} == {b"truth/a.gif"}

    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        patterns = (f"{tmp_path}/one", f"{tmp_path}/two")
        read = pipeline | ReadImages(patterns, "images", f"{tmp_path}/truth/*", 60)
        assert_that(read.results, check)


def test_truths_are_found_by_a_pattern_with_a_name(tmp_path):
    lay(tmp_path, "d/a/i/x.jpg", "d/b/i/x.jpg", "d/a/m/x_m.png", "d/c/m/x_m.png")
    images, truth = f"{tmp_path}/d/*/i/*", f"{tmp_path}/d/*/m/{{name}}_m.png"
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        read = pipeline | "Read" >> ReadImages((images,), "images", truth, 60)
        shown = read.results | beam.Map(lambda one: (one.image, truth_of(one)))
        expected = [(b"d/a/i/x.jpg", b"d/a/m/x_m.png"), (b"d/b/i/x.jpg", None)]
        assert_that(shown, equal_to(expected), label="images")
        scored = pipeline | "Score" >> ReadMasks(images, truth, 60)
        shown = scored.results | "Pair" >> beam.Map(lambda one: (one.image, truth_of(one)))
        assert_that(shown, equal_to(expected[:1]), label="masks")


def test_masks_are_matched_by_stem_and_what_has_no_partner_fails(tmp_path):
    lay(tmp_path, "masks/a.png", "masks/c/b.png", "masks/alone.png")
    lay(tmp_path, "truth/a.jpg", "truth/c/b.png", "truth/lonely.png")
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        read = pipeline | ReadMasks(f"{tmp_path}/masks", f"{tmp_path}/truth", 60)
        shown = read.results | beam.Map(
            lambda one: (one.item.key, one.item.mask, one.image, truth_of(one))
        )
        images = [
            ("a.png", f"{tmp_path}/masks/a.png", b"masks/a.png", b"truth/a.jpg"),
            ("c/b.png", f"{tmp_path}/masks/c/b.png", b"masks/c/b.png", b"truth/c/b.png"),
        ]
        assert_that(shown, equal_to(images), label="images")
        failed = read.failures | "Failed" >> beam.Map(lambda one: (one.key, one.stage, one.reason))
        failures = [
            ("alone.png", "read", "missing_truth"),
            ("lonely.png", "read", "missing_mask"),
        ]
        assert_that(failed, equal_to(failures), label="failures")
