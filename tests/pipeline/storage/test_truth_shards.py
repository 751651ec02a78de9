"""Truths in shards: listed by name, and read from where they are."""

import pytest

from pipeline.failures import BadImage
from pipeline.records import ListedFile, Note
from pipeline.storage.raw_records import BY_CONVENTION, Fields
from pipeline.storage.truth_shards import NAMELESS, list_truths, read_truth, shards_of_truth
from tests.pipeline.shard_files import example, image_column, write_parquet, write_shard, write_tar

NAMES = ["a.jpg", "d/b.jpg", "c.png"]
TRUTHS = [b"A" * 100, b"B" * 700, b"C"]


def write(path, suffix):
    rows = list(zip(NAMES, TRUTHS, strict=True))
    if suffix == "tfrecord":
        write_shard(path, [example(name.encode(), None, truth) for name, truth in rows])
    elif suffix == "tar":
        write_tar(path, [(f"{name[:-4]}.mask.png", truth) for name, truth in rows])
    else:
        write_parquet(path, {"name": (None, NAMES), "mask": image_column(TRUTHS)}, group=2)


def listed(path, fields=BY_CONVENTION):
    attempts = list(list_truths(ListedFile(str(path), "", 9, "9-1"), fields))
    return [one.result for one in attempts if one.result], [
        one.failure for one in attempts if one.failure
    ]


@pytest.mark.parametrize("suffix", ["tfrecord", "tar", "parquet"])
def test_each_truth_is_found_by_its_name_and_read_alone(tmp_path, suffix):
    path = tmp_path / f"t.{suffix}"
    write(path, suffix)
    files, failures = listed(path)
    assert failures == []
    expected = [name[:-4] for name in NAMES] if suffix == "tar" else NAMES
    assert [one.name for one in files] == expected
    assert {one.stamp for one in files} == {"9-1"} and len({one.path for one in files}) == 3
    for one, truth in reversed(list(zip(files, TRUTHS, strict=True))):
        assert read_truth(one.path, BY_CONVENTION) == truth


def test_a_name_in_metadata_is_its_key(tmp_path):
    path = tmp_path / "t.tar"
    metadata = [b'{"key": "a %2E.jpg", "width": 9}', b'"c.jpg"', b'{"x": 9}', b"[" * 60_000, b"x"]
    members = [
        (f"{n}.{suffix}", data)
        for n, text in enumerate(metadata)
        for suffix, data in (("json", text), ("mask.png", b"A"))
    ]
    write_tar(path, members)
    files, _ = listed(path, Fields(name="json"))
    assert [one.name for one in files[:2]] == ["a %2E.jpg", "c.jpg"]
    assert files[2:] == [Note(NAMELESS, f"{path}#{n}") for n in (2, 3, 4)]
    assert [one.name for one in listed(path)[0]] == list("01234")


def test_names_of_parquet_are_looked_for_in_several_columns(tmp_path):
    path = tmp_path / "t.parquet"
    columns = {"image": image_column([b"x"] * 3, NAMES), "seg": image_column(TRUTHS)}
    write_parquet(path, columns)
    files, _ = listed(path, Fields(truth="seg"))
    assert [one.name for one in files] == NAMES
    assert read_truth(files[1].path, Fields(truth="seg")) == TRUTHS[1]
    _, (failure,) = listed(path)
    assert (failure.stage, failure.reason) == ("index", "missing_column")


def test_a_record_whose_name_cannot_be_told_is_said(tmp_path):
    path = tmp_path / "t.tfrecord"
    write_shard(path, [example(b"a.jpg", None, b"A"), example(None, None, b"B")])
    files, failures = listed(path)
    assert (files[0].name, files[1:]) == ("a.jpg", [Note(NAMELESS, f"{path}#1")])
    data = path.read_bytes()
    path.write_bytes(data[:20] + bytes([data[20] ^ 1]) + data[21:])
    files, failures = listed(path)
    assert files == [Note(NAMELESS, f"{path}#0"), Note(NAMELESS, f"{path}#1")] and failures == []


@pytest.mark.parametrize("suffix", ["tfrecord", "tar", "parquet"])
def test_a_record_without_truth_is_none(tmp_path, suffix):
    path = tmp_path / f"t.{suffix}"
    if suffix == "tfrecord":
        write_shard(path, [example(b"a.jpg", b"image")])
    elif suffix == "tar":
        write_tar(path, [("a.jpg", b"image")])
    else:
        write_parquet(path, {"name": (None, ["a.jpg", "b.jpg"]), "mask": image_column([None] * 2)})
    (file, *_), _ = listed(path)
    assert read_truth(file.path, BY_CONVENTION) is None


def test_a_truth_of_which_there_is_nothing_but_the_path_cannot_be_read(tmp_path):
    path = tmp_path / "t.parquet"
    columns = {"name": (None, ["a.jpg"]), "mask": image_column([None], ["/photos/a.png"])}
    write_parquet(path, columns)
    (file,), _ = listed(path)
    with pytest.raises(BadImage, match="nothing but the path '/photos/a.png'"):
        read_truth(file.path, BY_CONVENTION)


def test_a_shard_that_is_cut_short_gives_what_it_has_and_a_failure(tmp_path):
    path = tmp_path / "t.tar"
    write(path, "tar")
    path.write_bytes(path.read_bytes()[:2600])
    files, (failure,) = listed(path)
    assert [one.name for one in files] == ["a", "d/b"]
    assert (failure.stage, failure.reason) == ("index", "truncated_shard")


def test_a_file_is_read_as_a_file(tmp_path):
    (tmp_path / "a#tar:5.png").write_bytes(b"truth")
    assert read_truth(str(tmp_path / "a#tar:5.png"), BY_CONVENTION) == b"truth"
    assert shards_of_truth("masks/*.tar") == "webdataset" and shards_of_truth("masks") is None
