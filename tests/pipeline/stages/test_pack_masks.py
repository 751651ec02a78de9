"""Shards at a job's end: complete, without what is not wanted, and after a crash at any step."""

import json
import shutil
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that

from pipeline.failures import OutputLost
from pipeline.job_settings import Job
from pipeline.stages import fill_shards, pack_masks
from pipeline.stages.fill_shards import empty_shard
from pipeline.stages.pack_masks import DropParts, PackMasks
from pipeline.stages.resume import files_of
from pipeline.storage.journal_files import append, count_finished, start
from pipeline.storage.mask_parts import PARTS, EncodedMask, write_part
from pipeline.storage.mask_shards import SUFFIXES, read_masks
from pipeline.storage.packed_head import read_packed
from tests.pipeline.journal_rows import journaled, row
from tests.pipeline.shard_files import files_below

FORMAT = "tfrecord"


def job_in(folder, mask_format=FORMAT, with_images=True):
    return Job(str(folder), mask_format=mask_format, with_images=with_images)


def mask_of(number):
    return b"mask %d" % number * 9


def do(output, numbers, content="c"):
    """Finishes images as the job does: a part, then rows in the journal."""
    encoded = [
        EncodedMask(row(number, content), mask_of(number), b"\xff\xd8\xff %d" % number)
        for number in numbers
    ]
    append(str(output), write_part(str(output), encoded))


def wanted(output, numbers):
    """The rows of a resumed job, all of whose masks are still there."""
    rows = [one for one in journaled(output).values() if one.item.content]
    found = {one.item.mask: one for one in rows}
    chosen = [found[f"masks/{number}.png"] for number in numbers]
    job = job_in(output)
    assert all(Path(output, file).is_file() for one in chosen for file in files_of(one, job))
    return chosen


def pack(job, rows, check=lambda rows: None):
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        packed = pipeline | beam.Create(rows) | PackMasks(job)
        assert_that(packed.rows, check)
        packed.written | DropParts(job.output, packed.shape)


def shards(output):
    below = Path(output, "masks")
    return {f"masks/{name}": (below / name).read_bytes() for name in files_below(below)}


def held(output, mask_format=FORMAT):
    """Keys and masks of all shards, which must be alone in their folder."""
    paths = sorted(Path(output, "masks").iterdir())
    ends = [f"-of-{len(paths):05d}.{SUFFIXES[mask_format]}"] * len(paths)
    assert [path.name[len("masks-00000") :] for path in paths] == ends
    records = [one for path in paths for one in read_masks(str(path), mask_format)]
    assert len({key for key, _, _ in records}) == len(records)
    return {key: mask for key, mask, _ in records}


def expected(numbers):
    return {row(number).key: mask_of(number) for number in numbers}


@pytest.fixture
def small(monkeypatch):
    """Shards of few masks."""
    monkeypatch.setattr(pack_masks, "SHARD_ROWS", 4)


@pytest.mark.parametrize("mask_format", SUFFIXES)
def test_every_wanted_mask_is_in_one_shard_and_its_row_says_which(tmp_path, small, mask_format):
    job = job_in(tmp_path, mask_format)
    start(job)
    do(tmp_path, range(12))

    def check(rows):
        # Before the shards are there.
        found = {one.key: json.loads(one.to_json())["mask_shard"] for one in rows}
        (tmp_path / "rows.json").write_text(json.dumps(found))

    pack(job, wanted(tmp_path, range(10)), check)
    said = json.loads((tmp_path / "rows.json").read_text())
    assert len(said) == 10
    for name in shards(tmp_path):
        keys = [key for key, _, _ in read_masks(str(tmp_path / name), mask_format)]
        assert keys == sorted(key for key, shard in said.items() if shard == name)
    assert held(tmp_path, mask_format) == expected(range(10))
    assert len(shards(tmp_path)) == read_packed(str(tmp_path)).shards == 3
    # Parts are gone, and the journal says where masks are now.
    assert not (tmp_path / PARTS).exists()
    assert len(wanted(tmp_path, range(10))) == count_finished(str(tmp_path)) == 10


@pytest.mark.parametrize(
    "mask_format",
    [pytest.param(name, marks=() if name == "parquet" else pytest.mark.slow) for name in SUFFIXES],
)
def test_a_job_that_grows_writes_what_a_whole_one_writes(tmp_path, small, mask_format):
    for name in ("whole", "grown"):
        start(job_in(tmp_path / name, mask_format))
    do(tmp_path / "whole", range(13))
    pack(job_in(tmp_path / "whole", mask_format), wanted(tmp_path / "whole", range(13)))
    grown = tmp_path / "grown"
    do(grown, range(8))
    pack(job_in(grown, mask_format), wanted(grown, range(8)))
    # One image is gone, one has changed, five have come.
    do(grown, [3, *range(8, 13)])
    pack(job_in(grown, mask_format), wanted(grown, [*range(7), *range(8, 13)]))
    assert held(grown, mask_format) == expected([*range(7), *range(8, 13)])
    do(grown, [7])
    pack(job_in(grown, mask_format), wanted(grown, range(13)))
    assert shards(grown) == shards(tmp_path / "whole")


def test_what_is_there_already_is_not_written_again(tmp_path, small, monkeypatch):
    start(job_in(tmp_path))
    do(tmp_path, range(10))
    pack(job_in(tmp_path), wanted(tmp_path, range(10)))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "masks").iterdir()}

    def check(rows):
        assert all((tmp_path / one.item.stored.file).is_file() for one in rows)

    pack(job_in(tmp_path), wanted(tmp_path, range(10)), check)
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "masks").iterdir()}
    assert held(tmp_path) == expected(range(10))


def test_without_images_there_is_an_empty_shard(tmp_path):
    start(job_in(tmp_path))
    pack(job_in(tmp_path), [])
    assert held(tmp_path) == {}
    assert read_packed(str(tmp_path)).masks == 0


def test_a_damaged_older_shard_is_said(tmp_path):
    start(job_in(tmp_path))
    do(tmp_path, range(3))
    pack(job_in(tmp_path), wanted(tmp_path, range(3)))
    (shard,) = shards(tmp_path)
    rows = wanted(tmp_path, range(3))
    whole = (tmp_path / shard).read_bytes()
    for damaged in (b"", whole[:-40], b"x" * len(whole)):
        (tmp_path / shard).write_bytes(damaged)
        with pytest.raises(OutputLost, match="is damaged.*remove it"):
            empty_shard(str(tmp_path), shard, rows, FORMAT)


class Killed(Exception):
    """Stands for the end of a process."""


# Functions by which steps change storage, how often they succeed, and whether the last call does.
STEPS = [
    (step, times, after)
    for step, times in (
        *(("append", 0), ("append", 1), ("open_packing", 0), ("write_packed", 0)),
        *(("write_packed", 2), ("write_shard", 0), ("write_shard", 2), ("commit", 0)),
        ("drop_parts", 0),
    )
    for after in (False, True)
]
# The others take long, and run with the slow tests.
QUICK = (("append", 1, True), ("write_packed", 2, False), ("commit", 0, True))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The shards of a job of 14 images."""
    output = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pack_masks, "SHARD_ROWS", 4)
        start(job_in(output))
        do(output, range(14))
        pack(job_in(output), wanted(output, range(14)))
    return shards(output)


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    """A job that has left three shards, and has done four more images and one anew."""
    output = tmp_path_factory.mktemp("grown")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pack_masks, "SHARD_ROWS", 4)
        start(job_in(output))
        do(output, range(10))
        pack(job_in(output), wanted(output, range(10)))
    do(output, [2, *range(10, 14)])
    return output


@pytest.mark.parametrize(
    ("step", "times", "after"),
    [pytest.param(*one, marks=() if one in QUICK else pytest.mark.slow) for one in STEPS],
)
def test_a_crash_at_any_step_loses_and_doubles_nothing(
    tmp_path, small, monkeypatch, whole, grown, step, times, after
):
    output = shutil.copytree(grown, tmp_path / "crashed")
    module = fill_shards if step in ("append", "write_packed") else pack_masks
    calls, original = [], getattr(module, step)

    def crash(*arguments, **named):
        if after:
            original(*arguments, **named)
        calls.append(arguments)
        if len(calls) > times:
            raise Killed
        if not after:
            original(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(module, step, crash)
        with pytest.raises(Exception, match="Killed"):
            pack(job_in(output), wanted(output, range(14)))
    assert len(calls) == times + 1
    # All masks are where the journal says, and none is to be made again.
    rows = wanted(output, range(14))
    assert count_finished(str(output)) == 14
    pack(job_in(output), rows)
    assert held(output) == expected(range(14))
    assert shards(output) == whole
    assert len(wanted(output, range(14))) == 14
    assert not (output / PARTS).exists()
