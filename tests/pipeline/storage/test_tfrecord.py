"""Shards against TensorFlow's own writer and reader."""

import io
import struct

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example as given_example
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.failures import BadImage
from pipeline.records import Truth
from pipeline.storage import pieces, tfrecord
from pipeline.storage.raw_records import BY_CONVENTION, Features, Fields
from pipeline.storage.tfrecord import Frame, parse, read_frames, read_records
from tests.hostile.shards import example as any_example
from tests.hostile.shards import hostile_shards, record
from tests.pipeline.shard_files import example, write_shard

RECORDS = [b"", b"a", bytes(range(256)) * 40, b"last"]


@pytest.fixture
def shard(tmp_path):
    path = str(tmp_path / "a.tfrecord")
    write_shard(path, RECORDS)
    return path


def read(data):
    return list(read_frames(io.BytesIO(data)))


def parsed(data):
    return parse(Frame(len(data) + 16, data))


def good(data):
    """The records before an error, and the error's reason."""
    found = []
    try:
        for one in read_frames(io.BytesIO(data)):
            found.append(one.fault or one.data)
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
    assert [one.data for one in read(contents(shard))] == expected == RECORDS


def test_tells_how_many_bytes_each_record_takes(shard):
    data = contents(shard)
    assert np.cumsum([one.size for one in read(data)]).tolist() == starts()[1:]
    assert starts()[-1] == len(data)
    for number, start in enumerate(starts()[:-1]):
        assert [one.data for one in read(data[start:])] == RECORDS[number:]


def test_random_records_equal_tensorflows_reader(tmp_path):
    rng = np.random.default_rng(0)
    records = [rng.bytes(int(size)) for size in rng.integers(0, 3000, 50)]
    path = str(tmp_path / "random.tfrecord")
    write_shard(path, records)
    assert [one.data for one in read(contents(path))] == records


def test_an_empty_file_has_no_records():
    assert read(b"") == []


def test_a_flipped_bit_in_the_data_spoils_that_record_only(shard):
    for position in (starts()[2] + 12, starts()[2] + 500, starts()[3] - 1):  # data, data, checksum
        data = bytearray(contents(shard))
        data[position] ^= 1
        found = read(bytes(data))
        assert found[2].fault.reason == "broken_record"
        with pytest.raises(BadImage, match="checksum"):
            parse(found[2])
        assert [one.data for one in found] == [*RECORDS[:2], b"", *RECORDS[3:]]
        assert [one.fault for one in found[:2] + found[3:]] == [None] * 3


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
        next(read_frames(Endless(tf_head)))
    assert caught.value.reason == "broken_shard"


def test_a_record_that_is_too_long_is_passed_over_and_the_next_one_is_read(monkeypatch):
    monkeypatch.setattr(tfrecord, "MAX_RECORD_BYTES", 1000)
    for piece in (64, 100, 1001, 1 << 20):
        monkeypatch.setattr(pieces, "PIECE", piece)
        shard = record(b"a") + record(bytes(1000)) + record(bytes(1001)) + record(b"z")
        found = read(shard)
        assert [one.data for one in found] == [b"a", bytes(1000), b"", b"z"]
        assert [one.fault and one.fault.reason for one in found] == [None, None, "too_large", None]
        assert found[2].size == 1017
        assert good(shard[:-30]) == ([b"a", bytes(1000)], "truncated_shard")


def test_a_length_reserves_no_memory_before_its_bytes_are_there():
    class Counted(io.BytesIO):
        def read(self, size=-1):
            assert 0 < size <= 1 << 20
            return super().read(size)

    for length in (64 << 20, 1 << 30):
        file = Counted(record(b"a") + record(b"short", length=length))
        records = read_frames(file)
        assert next(records) == Frame(17, b"a")
        with pytest.raises(BadImage) as caught:
            next(records)
        assert caught.value.reason == "truncated_shard"


def test_a_file_that_gives_a_few_bytes_at_a_time_is_read_whole(shard):
    class Slow(io.BytesIO):
        def read(self, size=-1):
            return super().read(min(size, 7))

    assert [one.data for one in read_frames(Slow(contents(shard)))] == RECORDS


# Any bytes at all

BYTES = st.binary(max_size=200) | st.sampled_from([one.data[:3000] for one in hostile_shards()])


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.lists(BYTES | st.binary(max_size=50).map(record), max_size=6).map(b"".join))
def test_any_bytes_are_records_or_bad_images(data):
    taken = 0
    try:
        for found in read_frames(io.BytesIO(data)):
            start, taken = taken, taken + found.size
            assert taken <= len(data)
            assert found.fault or record(found.data) == data[start:taken]
    except BadImage as error:
        assert error.reason in ("truncated_shard", "broken_shard")
    else:
        assert taken == len(data)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.lists(st.binary(max_size=60), min_size=1, max_size=6), st.data())
def test_a_changed_byte_harms_the_record_it_is_in_and_at_most_those_after_it(records, draw):
    shard = bytearray(b"".join(map(record, records)))
    position = draw.draw(st.integers(0, len(shard) - 1))
    shard[position] ^= draw.draw(st.integers(1, 255))
    ends = np.cumsum([len(one) + 16 for one in records])
    hit = int(np.searchsorted(ends, position, side="right"))
    found, reason = good(bytes(shard))
    if position < ends[hit] - len(records[hit]) - 4:  # In the length or its checksum.
        assert (found, reason) == (records[:hit], "broken_shard")
    else:
        assert reason is None and found[hit].reason == "broken_record"
        assert found[:hit] + found[hit + 1 :] == records[:hit] + records[hit + 1 :]


FEATURE = (
    st.lists(st.binary(max_size=20), max_size=3)
    | st.lists(st.integers(0, 2**63), max_size=3)
    | st.lists(st.floats(width=32), max_size=3)
)
NAMES = ("image/filename", "image/source_id", "image/encoded", "image/segmentation/class/encoded")


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), FEATURE, max_size=6))
def test_an_example_says_what_tensorflow_reads_in_it(values):
    data = any_example(None, **values)
    features = tf.train.Example.FromString(data).features.feature
    first = {name: [*features[name].bytes_list.value, None][0] for name in NAMES}
    found = parsed(data)
    name = first["image/filename"] or first["image/source_id"] or b""
    assert found.key == name.decode(errors="replace")
    assert found.image == first["image/encoded"]
    truth = first["image/segmentation/class/encoded"]
    assert found.truth == (None if truth is None else Truth(truth))


@settings(derandomize=True, deadline=None, max_examples=500)
@given(st.binary(max_size=100), st.integers(0, 150), st.integers(0, 100))
@given_example(b"\x0a" * 5000, 0, 0)
@given_example(b"\x0b" * 5000, 0, 0)
def test_any_bytes_are_an_example_or_none(noise, start, removed):
    whole = any_example(b"a.png", b"IMAGE", **{"image/source_id": [7, 9]})
    data = whole[:start] + noise + whole[start + removed :]
    try:
        found = parsed(data)
    except BadImage as error:
        assert error.reason == "not_an_example"
    else:
        assert isinstance(found, Features)
        found.key.encode()


def test_parse_reads_what_tensorflow_serialized():
    features = parsed(example(b"a/b.jpg", source=b"17", image=b"IMAGE", truth=b"TRUTH"))
    expected = Features("a/b.jpg", b"IMAGE", Truth(b"TRUTH"))
    assert features == expected


def test_the_source_id_stands_in_for_a_missing_or_empty_name():
    assert parsed(example(source=b"17")).key == "17"
    assert parsed(example(b"", source=b"17")).key == "17"
    assert parsed(example()).key == ""


def test_missing_features_are_none():
    features = parsed(example(b"a"))
    assert features.image is None and features.truth is None
    assert str(features.fault) == (
        "no image/encoded; there is image/filename; --image_field names another"
    )


def test_flags_say_which_feature_is_which():
    data = any_example(b"a", b"A", jpg=b"J", seg=b"S", id=b"7")
    frame, fields = Frame(len(data) + 16, data), Fields("jpg", "seg", "id")
    assert parse(frame, fields) == Features("7", b"J", Truth(b"S"))
    assert parse(frame, Fields("png")).fault.reason == "missing_feature"


def test_reading_begins_at_any_record(shard):
    with open(shard, "rb") as file:
        for number, start in enumerate(starts()):
            ends = [raw.after for raw in read_records(file, start, BY_CONVENTION)]
            assert ends == starts()[number + 1 :]
            file.seek(0)


def test_a_name_that_is_no_utf_8_is_still_a_name():
    assert parsed(example(b"caf\xe9.jpg")).key == "caf\N{REPLACEMENT CHARACTER}.jpg"


def test_features_of_another_type_count_as_missing():
    numbers = tf.train.Feature(int64_list=tf.train.Int64List(value=[7]))
    wrong = {"image/encoded": numbers, "image/filename": numbers}
    message = tf.train.Example(features=tf.train.Features(feature=wrong))
    features = parsed(message.SerializeToString())
    assert (features.key, features.image) == ("", None)


def test_bytes_that_are_no_example_are_refused():
    with pytest.raises(BadImage) as caught:
        parsed(b"\xff\xff not a message")
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
