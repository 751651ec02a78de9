"""Every hostile shard gives its good records and failures, in bounded time and memory."""

import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.records import Chunk, Source
from pipeline.storage.patterns import format_of
from pipeline.storage.shards import cut_shard, read_shard
from tests.hostile.attempt import peak_memory
from tests.hostile.containers import gray_png
from tests.hostile.shards import hostile_shards
from tests.hostile.tars import IMAGE, member
from tests.pipeline.fresh_process import in_a_fresh_process


class Read(NamedTuple):
    """What became of a shard: keys of its records and failures, and what it took."""

    kind: str
    owed: tuple
    rest: bool
    keys: list
    reasons: Counter
    lost: int
    whole_again: bool
    seconds: float
    growth: float


def read_all():
    """Reads every hostile tar and Parquet file, alone and cut."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for shard in hostile_shards():
            path = Path(folder, f"s{shard.suffix}")
            if (form := format_of(path.name)) == "tfrecord":
                continue
            path.write_bytes(shard.data)
            source = Source(str(path), "s", "masks/s", chunk=Chunk(form=form))
            start, peak = time.process_time(), peak_memory()
            keys, reasons, lost, places = [], Counter(), 0, []
            for one in read_shard(source):
                failure = one.failure
                if failure is not None:
                    reasons[failure.reason] += 1
                    lost += failure.stage == "index"
                if failure is None or failure.stage == "read":
                    keys.append((failure or one.result.item).key.removeprefix("s/"))
                places.append(failure or one.result.item.mask)
            seconds, growth = time.process_time() - start, peak_memory() - peak
            cut = [part.result for part in cut_shard(source) if part.result]
            again = [
                one.failure or one.result.item.mask for part in cut for one in read_shard(part)
            ]
            again = again[: len(places)] == places[: len(again)]
            owed = (shard.keys, shard.rest)
            found.append(Read(shard.kind, *owed, keys, reasons, lost, again, seconds, growth))
    return found


@pytest.fixture(scope="module")
def reads():
    return in_a_fresh_process(read_all)


def test_every_record_is_read_or_a_failure_and_what_is_lost_is_said(reads):
    assert len(reads) > 60
    for one in reads:
        assert bool(one.lost) == one.rest, one
        assert len(one.keys) == len(one.owed), one
        named = Counter(one.owed) & Counter(one.keys)
        assert set(named) == {key for key in one.owed if key}, one


def test_a_cut_shard_gives_the_same(reads):
    assert [one.kind for one in reads if not one.whole_again] == []


def test_none_takes_much_memory_or_time(reads):
    assert [one for one in reads if one.seconds > 5] == []
    assert [one for one in reads if one.growth > 100] == []
    assert sum(one.growth for one in reads) < 200


def test_each_fault_has_its_reason(reads):
    for kind, reasons in {
        "tar with a symbolic link": {"unsupported"},
        "tar, extended header of megabytes": {"bomb"},
        "tar, wrong checksum of a header": {"broken_shard"},
        "tar cut short": {"truncated_shard"},
        "tar of folders": {"no_images"},
        "tar of texts": {"missing_feature"},
        "gzip tar, a member of 300 MiB": {"too_large"},
        "gzip tar, a member of terabytes": {"too_large", "broken_shard"},
        "Parquet, encrypted": {"unsupported"},
        "Parquet without images": {"missing_column"},
        "Parquet, damaged row group": {"broken_shard"},
        "Parquet of nulls": {"missing_feature"},
    }.items():
        found = [set(one.reasons) for one in reads if one.kind == kind]
        assert found and set.union(*found) == reasons, kind


def write_many(path):
    """Writes a shard of 100,000 tiny images, each of them a row group of its own in Parquet."""
    image = gray_png()
    if path.suffix == ".tar":
        with open(path, "wb") as file:
            file.writelines(member(f"{number:06}.png", image) for number in range(100_000))
            file.write(bytes(1024))
        return
    column = pa.array([{"bytes": image, "path": "a.png"}], IMAGE)
    table = pa.table({"image": column})
    with pq.ParquetWriter(path, table.schema) as writer:
        for _ in range(100_000):
            writer.write_table(table)


def read_many(path):
    """How many images of a shard came, MiB that it took, seconds."""
    source = Source(str(path), "s", "masks/s", chunk=Chunk(form=format_of(path.name)))
    start, peak = time.process_time(), peak_memory()
    count = sum(one.result is not None for one in read_shard(source))
    return count, peak_memory() - peak, time.process_time() - start


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["tar", "parquet"])
def test_100_000_members_or_row_groups_take_little_memory(tmp_path, suffix):
    path = tmp_path / f"s.{suffix}"
    in_a_fresh_process(write_many, path)
    count, growth, seconds = in_a_fresh_process(read_many, path)
    assert count == 100_000 and seconds < 120
    # Names in both; the footer, which has 65 MB, in Parquet.
    assert growth < {"tar": 60, "parquet": 400}[suffix]
