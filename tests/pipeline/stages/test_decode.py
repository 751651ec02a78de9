"""The stage that decodes: what it can, and a failure for each of the rest."""

from dataclasses import replace

import apache_beam as beam
import numpy as np
from apache_beam.testing.util import assert_that, equal_to
from PIL import Image

from pipeline.failures import Failure
from pipeline.job_settings import Job
from pipeline.records import ImageRecord, Item, Truth
from pipeline.stages.decode import DecodeImages, decode
from tests.pipeline.encoded import encode
from tests.pipeline.shard_files import example, write_shard


def record(key, data):
    return ImageRecord(Item(key, f"masks/{key}.png", "c", Truth(b"T")), data)


def test_an_image_keeps_its_identity_and_its_size():
    one = record("a", encode(Image.new("L", (3, 2), 9)))
    decoded = decode(one, 4).result
    assert decoded.item == one.item and decoded.size == (3, 2)
    assert decoded.pixels.tolist() == [[[9, 9, 9]] * 4] * 4


def test_what_was_guessed_goes_with_the_image():
    wide = record("a", encode(Image.fromarray(np.array([[0, 4095]], np.uint16))))
    guessed = decode(wide, 4).result.item
    assert "12 bits" in guessed.guess
    assert replace(guessed, guess="") == wide.item


def test_a_limit_of_pixels_is_kept_to_and_named():
    one = record("a", encode(Image.new("L", (40, 30))))
    assert decode(one, 4, 1200).failure is None
    failure = decode(one, 4, 1199).failure
    assert failure.reason == "too_large" and "--max_megapixels" in failure.message


def test_what_is_no_image_is_a_failure_of_this_stage():
    assert decode(record("a", b""), 4).failure == Failure("a", "decode", "empty", "no bytes")
    assert decode(record("a", b"text"), 4).failure.reason == "not_an_image"


def test_an_error_of_the_program_is_a_failure_of_its_image_too():
    assert decode(record("a", encode(Image.new("L", (3, 2)))), 0).failure.stage == "decode"


def test_the_stage_decodes_what_it_can_and_names_the_rest():
    records = [
        record("a", encode(Image.new("L", (3, 2), 9))),
        record("b", b""),
        record("c", encode(Image.new("L", (300, 200)))[:100]),
        record("d", b"text"),
    ]
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        decoded = pipeline | beam.Create(records) | DecodeImages(Job("out", image_size=4), 2)
        images = decoded.results | "I" >> beam.Map(
            lambda one: (one.item, one.size, one.pixels.tolist())
        )
        gray = [[[9, 9, 9]] * 4] * 4
        assert_that(images, equal_to([(records[0].item, (3, 2), gray)]), label="images")
        failures = decoded.failures | "F" >> beam.Map(lambda one: (one.key, one.stage, one.reason))
        expected = [
            ("b", "decode", "empty"),
            ("c", "decode", "broken"),
            ("d", "decode", "not_an_image"),
        ]
        assert_that(failures, equal_to(expected), label="failures")


def test_a_shard_among_photos_is_told_with_the_flag_that_reads_it(tmp_path):
    write_shard(tmp_path / "s", [example(b"a.jpg", b"x")])
    failure = decode(record("s", (tmp_path / "s").read_bytes()), 32).failure
    assert failure.reason == "unsupported"
    assert "--input_format tfrecord" in failure.message
