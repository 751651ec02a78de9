"""Shards of each format give the same records, whole, in chunks, and over shaky storage."""

import os
from dataclasses import replace

import pytest

from pipeline.failures import BadImage
from pipeline.records import Chunk, Source
from pipeline.storage import errors, shards
from pipeline.storage.raw_records import BY_CONVENTION, Fields
from pipeline.storage.shards import check_shard, cut_shard, read_shard
from tests.pipeline.shard_files import (
    IMAGE,
    example,
    image_column,
    write_parquet,
    write_shard,
    write_tar,
)
from tests.pipeline.storage.test_shards import Shaky

FORMS = ("tfrecord", "webdataset", "parquet")
# Names in the order of the records, of which some are the same.
NAMES = ["a", "b", "c", "b", "b", "d/e", "a", *map(str, range(30))]
# In order: pages and footers of Parquet repeat the first and the last of a row group.
IMAGES = [b"%02d" % n + os.urandom(198) for n, _ in enumerate(NAMES)]
TRUTHS = [b"truth %d" % n if n % 3 else None for n, _ in enumerate(NAMES)]


def write(form, path):
    """The same records in a format; returns their source."""
    rows = list(zip(NAMES, IMAGES, TRUTHS, strict=True))
    if form == "tfrecord":
        write_shard(path, [example(name.encode(), image, truth) for name, image, truth in rows])
    elif form == "webdataset":
        members = [
            (f"{name}.{suffix}", content)
            for name, image, truth in rows
            for suffix, content in (("jpg", image), ("mask.png", truth))
            if content is not None
        ]
        write_tar(path, members)
    else:
        columns = {"image": image_column(IMAGES, NAMES), "mask": image_column(TRUTHS)}
        write_parquet(path, columns, group=5, use_dictionary=False, write_page_checksum=True)
    return source_of(form, path)


def source_of(form, path):
    return Source(str(path), "s", "masks/s", stamp="9-1.5", chunk=Chunk(form=form))


def read(source, fields=BY_CONVENTION):
    """What a shard gives, wherever it lies."""
    for one in read_shard(source, fields):
        if one.result is not None:
            item = one.result.item
            item = replace(item, origin=replace(item.origin, path=""))
            one = replace(one, result=replace(one.result, item=item))
        yield one


def read_all(source, fields=BY_CONVENTION):
    attempts = list(read(source, fields))
    return [one.result for one in attempts], [one.failure for one in attempts if one.failure]


@pytest.mark.parametrize("form", FORMS)
def test_each_record_has_its_image_its_truth_and_a_name_of_its_own(tmp_path, form):
    records, failures = read_all(write(form, tmp_path / "s"))
    assert failures == []
    assert [one.image for one in records] == IMAGES
    truths = [one.item.truth and one.item.truth.encoded for one in records]
    assert truths == TRUTHS
    keys = [one.item.key for one in records]
    assert keys[:7] == ["s/a", "s/b", "s/c", "s/b#3", "s/b#4", "s/d/e", "s/a#6"]
    assert len({one.item.mask for one in records}) == len(records)
    origins = [one.item.origin for one in records]
    assert [one.number for one in origins] == list(range(len(NAMES)))
    assert [one.is_last for one in origins] == [False] * (len(NAMES) - 1) + [True]


def test_all_formats_give_the_same_records(tmp_path):
    first, *others = (read_all(write(form, tmp_path / form)) for form in FORMS)
    assert all(other == first for other in others)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", [1, 3000, 1 << 20])
def test_chunks_give_together_what_the_shard_gives(tmp_path, form, size, monkeypatch):
    monkeypatch.setattr(shards, "CHUNK_BYTES", size)
    source = write(form, tmp_path / "s")
    chunks = [one.result for one in cut_shard(source)]
    together = [one for chunk in chunks for one in read_shard(chunk)]
    assert together == list(read_shard(source))
    assert (len(chunks) > 2) == (size < 1 << 20)
    assert [chunk.chunk.is_last for chunk in chunks] == [False] * (len(chunks) - 1) + [True]


@pytest.mark.parametrize("form", FORMS)
def test_a_shard_is_read_on_after_a_transient_error(tmp_path, form, monkeypatch):
    monkeypatch.setattr(errors, "PAUSES", (0,) * 5)
    source = write(form, tmp_path / "s")
    whole = list(read(source))
    for places in ([450], [5000, 450], [8000, 3000, 3000]):
        monkeypatch.setattr(Shaky, "files", {"shaky://s": (tmp_path / "s").read_bytes()})
        broken = [ConnectionResetError(), TimeoutError(), ConnectionResetError()][: len(places)]
        monkeypatch.setattr(Shaky, "errors", broken)
        assert list(read(source_of(form, "shaky://s"))) == whole
        assert Shaky.errors == []


@pytest.mark.parametrize("form", ["tfrecord", "webdataset"])
def test_a_compressed_shard_gives_the_same_and_is_not_cut(tmp_path, form):
    whole = read_all(write(form, tmp_path / "s"))
    packed = write(form, tmp_path / "s.gz")
    assert read_all(packed) == whole
    assert [one.result for one in cut_shard(packed)] == [packed]


def test_a_lost_row_group_is_one_failure_and_its_chunk_ends_where_it_should(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "CHUNK_BYTES", 1)
    source = write("parquet", tmp_path / "s")
    whole, _ = read_all(source)
    data = bytearray((tmp_path / "s").read_bytes())
    place = data.index(IMAGES[6])
    data[place] ^= 1
    (tmp_path / "s").write_bytes(data)
    for sources in ([source], [one.result for one in cut_shard(source)]):
        attempts = [one for part in sources for one in read_shard(part)]
        (failure,) = (one.failure for one in attempts if one.failure)
        assert (failure.key, failure.stage) == (f"{tmp_path}/s#5", "index")
        assert failure.reason == "broken_shard" and failure.message.startswith("row group 1 ")
        found = [one.result for one in attempts if one.result]
        assert [one.image for one in found] == [one.image for one in whole[:5] + whole[10:]]
        assert found[-1].item.origin.is_last


@pytest.mark.parametrize("form", FORMS)
def test_a_shard_is_checked_before_the_job(tmp_path, form):
    write(form, tmp_path / "s")
    check_shard(str(tmp_path / "s"), form, BY_CONVENTION)
    with pytest.raises(BadImage, match="nothere") as caught:
        check_shard(str(tmp_path / "s"), form, Fields(image="nothere"))
    assert caught.value.reason in ("missing_feature", "missing_column")
    there = {"tfrecord": "image/encoded", "webdataset": ".jpg", "parquet": "image (image)"}[form]
    assert there in str(caught.value)


def test_a_path_in_a_file_is_no_file_of_this_disk(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"somebody's photo")
    rows = [{"bytes": None, "path": str(tmp_path / "a.jpg")}, {"bytes": b"B", "path": "b.jpg"}]
    write_parquet(tmp_path / "s", {"image": (IMAGE, rows)})
    (_, good), (failure,) = read_all(source_of("parquet", tmp_path / "s"))
    assert (failure.key, failure.reason) == ("s/a.jpg", "missing_feature")
    assert good.image == b"B"
