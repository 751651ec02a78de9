"""Shards against TensorFlow's own writer and reader."""

import io
import struct

import numpy as np
import pytest
import tensorflow as tf

from pipeline.records import BadImage
from pipeline.tfrecord import parse, read_records

RECORDS = [b"", b"a", bytes(range(256)) * 40, b"last"]


@pytest.fixture
def shard(tmp_path):
    path = str(tmp_path / "a.tfrecord")
    with tf.io.TFRecordWriter(path) as writer:
        for record in RECORDS:
            writer.write(record)
    return path


def read(data):
    return list(read_records(io.BytesIO(data)))


def good(data):
    """The records before an error, and the error's reason."""
    found = []
    try:
        for _, record in read_records(io.BytesIO(data)):
            found.append(record)
    except BadImage as error:
        return found, error.reason
    return found, None


def contents(path):
    with open(path, "rb") as file:
        return file.read()


def starts():
    return np.cumsum([0] + [len(record) + 16 for record in RECORDS]).tolist()


def test_equals_tensorflows_reader(shard):
    expected = [record.numpy() for record in tf.data.TFRecordDataset(shard)]
    assert [record for _, record in read(contents(shard))] == expected == RECORDS


def test_tells_how_many_bytes_each_record_takes(shard):
    data = contents(shard)
    assert np.cumsum([taken for taken, _ in read(data)]).tolist() == starts()[1:]
    assert starts()[-1] == len(data)
    for number, start in enumerate(starts()[:-1]):
        assert [record for _, record in read(data[start:])] == RECORDS[number:]


def test_random_records_equal_tensorflows_reader(tmp_path):
    rng = np.random.default_rng(0)
    records = [rng.bytes(int(size)) for size in rng.integers(0, 3000, 50)]
    path = str(tmp_path / "random.tfrecord")
    with tf.io.TFRecordWriter(path) as writer:
        for record in records:
            writer.write(record)
    assert [record for _, record in read(contents(path))] == records


def test_an_empty_file_has_no_records():
    assert read(b"") == []


def test_a_flipped_bit_in_the_data_spoils_that_record_only(shard):
    for position in (starts()[2] + 12, starts()[2] + 500, starts()[3] - 1):  # data, data, checksum
        data = bytearray(contents(shard))
        data[position] ^= 1
        found = [record for _, record in read(bytes(data))]
        assert isinstance(found[2], BadImage) and found[2].reason == "broken_record"
        assert found[:2] + found[3:] == RECORDS[:2] + RECORDS[3:]


def test_a_shard_cut_anywhere_gives_the_whole_records_first(shard):
    data = contents(shard)
    for size in [*range(60), *range(len(data) - 40, len(data))]:
        whole = sum(end <= size for end in starts()[1:])
        found, reason = good(data[:size])
        assert found == RECORDS[:whole]
        assert reason == (None if size in starts() else "truncated_shard")


def test_a_broken_length_ends_the_shard_after_the_records_before_it(shard):
    for position in range(starts()[2], starts()[2] + 12):
        data = bytearray(contents(shard))
        data[position] ^= 0x40
        assert good(bytes(data)) == (RECORDS[:2], "broken_shard")


def test_a_monstrous_length_is_refused_before_it_is_read():
    class Endless(io.RawIOBase):
        def __init__(self, head):
            self.head = head

        def read(self, size=-1):
            assert size <= 12, f"asked for {size} bytes"
            return self.head

    length = struct.pack("<Q", 1 << 50)
    tf_head = length + struct.pack("<I", masked_crc(length))
    with pytest.raises(BadImage) as caught:
        next(read_records(Endless(tf_head)))
    assert caught.value.reason == "broken_shard"


def test_parse_reads_what_tensorflow_serialized():
    features = parse(example(b"a/b.jpg", source=b"17", image=b"IMAGE", truth=b"TRUTH"))
    assert (features.key, features.image, features.truth) == ("a/b.jpg", b"IMAGE", b"TRUTH")


def test_the_source_id_stands_in_for_a_missing_or_empty_name():
    assert parse(example(source=b"17")).key == "17"
    assert parse(example(b"", source=b"17")).key == "17"
    assert parse(example()).key == ""


def test_missing_features_are_none():
    features = parse(example(b"a"))
    assert features.image is None and features.truth is None


def test_a_name_that_is_no_utf_8_is_still_a_name():
    assert parse(example(b"caf\xe9.jpg")).key == "caf\N{REPLACEMENT CHARACTER}.jpg"


def test_features_of_another_type_count_as_missing():
    numbers = tf.train.Feature(int64_list=tf.train.Int64List(value=[7]))
    wrong = {"image/encoded": numbers, "image/filename": numbers}
    features = parse(
        tf.train.Example(features=tf.train.Features(feature=wrong)).SerializeToString()
    )
    assert (features.key, features.image) == ("", None)


def test_bytes_that_are_no_example_are_refused():
    with pytest.raises(BadImage) as caught:
        parse(b"\xff\xff not a message")
    assert caught.value.reason == "not_an_example"


def masked_crc(data):
    """CRC-32C bit by bit, masked as TensorFlow documents it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17 & 0xFFFFFFFF) + 0xA282EAD8) % 2**32


def example(name=None, source=None, image=None, truth=None):
    values = {
        "image/filename": name,
        "image/source_id": source,
        "image/encoded": image,
        "image/segmentation/class/encoded": truth,
    }
    return tf.train.Example(
        features=tf.train.Features(
            feature={
                key: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
                for key, value in values.items()
                if value is not None
            }
        )
    ).SerializeToString()
