"""Shards of masks, read back by the libraries that data sets are read with."""

import io
import json
import urllib.parse

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
import webdataset
from PIL import Image

from pipeline.images.mask import encode_mask
from pipeline.records import Chunk, Source
from pipeline.stages.fill_shards import format_of
from pipeline.storage.mask_names import member_of
from pipeline.storage.mask_shards import (
    SUFFIXES,
    MaskRecord,
    read_masks,
    shard_name,
    text_of,
    write_records,
)
from pipeline.storage.shards import read_shard
from tests.pipeline.encoded import encode

# Keys of record and image file: with dots, a percent sign, folders, and other scripts.
NAMES = ["a.jpg", "c.d/x.y.jpg", "set-00000-of-00002/50%.jpg", "ä/日本.jpg", "o\udcff.jpg"]


def mask_of(number):
    return np.random.default_rng(number).integers(0, 256, (6, 9 + number), np.uint8)


def records(with_images=False, binary=False):
    for number, key in enumerate(NAMES):
        mask = mask_of(number)
        png = encode_mask(255 * (mask > 128).astype(np.uint8) if binary else mask, binary)
        member = member_of(f"masks/{key.replace(chr(0xDCFF), '_').removesuffix('.jpg')}.png")
        photo = encode(Image.new("RGB", (9 + number, 6), (number, 0, 0)), "JPEG")
        kept = (photo, "jpeg") if with_images else (b"", "")
        yield MaskRecord(key, member, png, (9 + number, 6), *kept)


def shard(tmp_path, mask_format, with_images=False, **options):
    path = tmp_path / f"shard.{SUFFIXES[mask_format]}"
    with open(path, "wb") as file:
        write_records(file, records(with_images, **options), mask_format, with_images)
    return str(path)


def assert_is_mask(png, number):
    np.testing.assert_array_equal(Image.open(io.BytesIO(png)), mask_of(number))


@pytest.mark.parametrize("with_images", [False, True])
def test_tensorflow_reads_tfrecord(tmp_path, with_images):
    path = shard(tmp_path, "tfrecord", with_images)
    text, number = tf.io.FixedLenFeature([], tf.string), tf.io.FixedLenFeature([], tf.int64)
    features = {"image/filename": text, "image/segmentation/class/encoded": text}
    features |= {"image/width": number, "image/height": number}
    if with_images:
        features |= {"image/encoded": text, "image/format": text}
    read = [tf.io.parse_single_example(one, features) for one in tf.data.TFRecordDataset(path)]
    assert [one["image/filename"].numpy().decode() for one in read] == list(map(text_of, NAMES))
    for index, one in enumerate(read):
        assert (one["image/width"].numpy(), one["image/height"].numpy()) == (9 + index, 6)
        decoded = tf.io.decode_png(one["image/segmentation/class/encoded"])
        np.testing.assert_array_equal(decoded[..., 0], mask_of(index))
        if with_images:
            assert tf.io.decode_jpeg(one["image/encoded"]).shape == (6, 9 + index, 3)
            assert one["image/format"].numpy() == b"jpeg"


@pytest.mark.parametrize("with_images", [False, True])
def test_webdataset_reads_tar(tmp_path, with_images):
    path = shard(tmp_path, "webdataset", with_images)
    samples = list(webdataset.WebDataset(path, shardshuffle=False).decode("pil"))
    members = [record.member for record in records()]
    assert [sample["__key__"] for sample in samples] == members
    for index, sample in enumerate(samples):
        mask = sample["mask.png"]
        assert mask.size == (9 + index, 6)
        assert sample["json"] == {"key": text_of(NAMES[index]), "width": 9 + index, "height": 6}
        assert ("jpg" in sample) == with_images
    raw = list(webdataset.WebDataset(path, shardshuffle=False))
    for index, sample in enumerate(raw):
        assert_is_mask(sample["mask.png"], index)


@pytest.mark.parametrize(
    "kind", ["JPEG", "PNG", "WEBP", "GIF", "JPEG2000", "PPM", "TIFF", "BMP", "AVIF"]
)
def test_an_image_in_a_tar_is_an_image_of_the_next_job(tmp_path, kind):
    photo = encode(Image.new("RGB", (9, 6), (90, 0, 0)), kind)
    # Its key says nothing of its format.
    record = MaskRecord("42", "42", b"mask", (9, 6), photo, format_of("42", photo))
    path = tmp_path / "shard.tar"
    with open(path, "wb") as file:
        write_records(file, [record], "webdataset", True)
    source = Source(str(path), "s", "masks/s", chunk=Chunk(form="webdataset"))
    (read,) = read_shard(source)
    assert (read.result.image, read.result.item.truth.encoded) == (photo, b"mask")


@pytest.mark.parametrize("with_images", [False, True])
def test_parquet_says_which_columns_are_images(tmp_path, with_images):
    path = shard(tmp_path, "parquet", with_images)
    table = pq.read_table(path)
    names = ["name", *(["image"] if with_images else []), "mask", "width", "height"]
    assert table.column_names == names
    features = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
    assert features["mask"] == {"_type": "Image"}
    assert ("image" in features) == with_images
    for index, row in enumerate(table.to_pylist()):
        assert row["name"] == text_of(NAMES[index])
        assert (row["width"], row["height"]) == (9 + index, 6)
        assert_is_mask(row["mask"]["bytes"], index)


def test_datasets_shows_images_and_masks(tmp_path):
    # Imported here because it takes seconds.
    import datasets

    path = shard(tmp_path, "parquet", True)
    loaded = datasets.load_dataset(
        "parquet", data_files=path, split="train", cache_dir=str(tmp_path / "cache")
    )
    for index, row in enumerate(loaded):
        assert row["image"].size == row["mask"].size == (9 + index, 6)
        np.testing.assert_array_equal(row["mask"], mask_of(index))


@pytest.mark.parametrize("mask_format", SUFFIXES)
@pytest.mark.parametrize("with_images", [False, True])
def test_what_was_written_comes_back(tmp_path, mask_format, with_images):
    path = shard(tmp_path, mask_format, with_images)
    expected = [(text_of(one.key), one.mask, one.image) for one in records(with_images)]
    assert list(read_masks(path, mask_format)) == expected


@pytest.mark.parametrize("mask_format", SUFFIXES)
def test_the_same_records_make_the_same_bytes(tmp_path, mask_format):
    first, second = io.BytesIO(), io.BytesIO()
    for file in (first, second):
        write_records(file, records(True), mask_format, True)
    assert first.getvalue() == second.getvalue()


@pytest.mark.parametrize("mask_format", SUFFIXES)
def test_a_shard_may_be_empty(tmp_path, mask_format):
    path = tmp_path / "empty"
    with open(path, "wb") as file:
        write_records(file, [], mask_format, True)
    assert list(read_masks(str(path), mask_format)) == []


@pytest.mark.parametrize("mask_format", SUFFIXES)
def test_binary_masks_stay_of_one_bit(tmp_path, mask_format):
    path = shard(tmp_path, mask_format, binary=True)
    assert {Image.open(io.BytesIO(mask)).mode for _, mask, _ in read_masks(path, mask_format)} == {
        "1"
    }


def test_row_groups_are_small(tmp_path):
    mask = encode_mask(mask_of(0), False)
    many = (MaskRecord(f"{number}.jpg", str(number), mask, (9, 6)) for number in range(250))
    path = tmp_path / "many.parquet"
    with open(path, "wb") as file:
        write_records(file, many, "parquet", False)
    metadata = pq.read_metadata(path)
    assert [metadata.row_group(index).num_rows for index in range(3)] == [100, 100, 50]


@pytest.mark.parametrize("name", ["a", "a.b", "c.d/x.y", "50%", "a%2Eb", "ä/日本.x"])
def test_names_of_members_can_be_turned_back(name):
    member = member_of(f"masks/{name}.png")
    assert "." not in member.rpartition("/")[2]
    assert member.count("/") == name.count("/")
    folder, slash, last = member.rpartition("/")
    assert folder + slash + urllib.parse.unquote(last) == name


def test_names_of_shards_say_how_many_there_are():
    assert shard_name(3, 12, "webdataset") == "masks/masks-00003-of-00012.tar"
