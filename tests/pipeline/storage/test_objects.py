"""Objects in buckets of emulators: one request each, whole or not at all."""

import http.client

import pytest
from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from pipeline.failures import BadImage, InputLost, OutputLost
from pipeline.job_settings import Job
from pipeline.stages.fill_shards import empty_shard, write_shard
from pipeline.storage import errors, files, objects
from pipeline.storage.files import (
    clear,
    delete,
    local_copy,
    read_file,
    read_range,
    write_file,
    write_large_file,
)
from pipeline.storage.journal_files import append, journal_files, newest, read_lines, start
from pipeline.storage.mask_parts import EncodedMask, write_part
from pipeline.storage.mask_shards import SUFFIXES, read_masks, shard_name
from pipeline.storage.packed_head import Packed
from pipeline.storage.packed_journal import commit, drop_parts, open_packing
from pipeline.tally import tallied
from tests.clouds import BREAK, CLOUDS
from tests.pipeline.journal_rows import row


@pytest.fixture(scope="module", params=CLOUDS, ids=lambda cloud: cloud.__name__)
def emulator(request, tmp_path_factory):
    cloud = request.param(tmp_path_factory.mktemp("cloud"))
    cloud.options = PipelineOptions(cloud.flags)
    yield cloud
    cloud.close()


@pytest.fixture
def cloud(emulator, monkeypatch):
    """An empty bucket that this process finds."""
    for name, value in emulator.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")  # boto3 would try again by itself.
    monkeypatch.setattr(FileSystems, "_pipeline_options", emulator.options)
    monkeypatch.setattr(errors, "PAUSES", (0,) * 5)
    emulator.fault = lambda *_: None
    emulator.empty()
    emulator.requests.clear()
    return emulator


def fails(cloud, *statuses):
    """The next requests fail; returns what is left of the failures."""
    left = list(statuses)
    cloud.fault = lambda *_: left.pop(0) if left else None
    return left


@pytest.mark.parametrize("name", ["out/a.png", "out/a [1] é.png"])
@pytest.mark.parametrize("data", [b"", b"x", bytes(9 << 20)])
def test_an_object_is_what_was_written(cloud, name, data):
    write_file(cloud.root, name, b"old")
    write_file(cloud.root, name, data)
    assert read_file(f"{cloud.root}/{name}") == data
    assert cloud.names() == [name]
    delete([f"{cloud.root}/{name}"])
    assert cloud.names() == []


def test_a_large_file_is_written_of_parts_and_read_from_its_beginning_again(cloud):
    parts = [b"%d" % number * (3 << 20) for number in range(4)]
    left = fails(cloud, 503)
    write_large_file(cloud.root, "out/a.json", iter(parts))
    assert left == [] and read_file(f"{cloud.root}/out/a.json") == b"".join(parts)
    with local_copy(f"{cloud.root}/out/a.json") as copy:
        for _ in range(2):
            assert copy.read() == b"".join(parts)
            copy.seek(0)


def test_a_large_file_whose_parts_fail_is_not_there(cloud):
    def parts():
        yield b"x"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_large_file(cloud.root, "out/a.json", parts())
    assert cloud.names() == []


def test_a_part_of_an_object_is_read_in_one_request(cloud):
    write_file(cloud.root, "out/a", bytes(range(200)))
    cloud.requests.clear()
    assert read_range(cloud.root, "out/a", 10, 30) == bytes(range(10, 40))
    assert len(cloud.requests) == 1
    assert read_range(cloud.root, "out/a", 10, 0) == b""
    with pytest.raises(OutputLost, match="ends after 50 of 60 bytes at 150"):
        read_range(cloud.root, "out/a", 150, 60)


@pytest.mark.parametrize(
    "mask_format",
    [pytest.param(name, marks=() if name == "parquet" else pytest.mark.slow) for name in SUFFIXES],
)
def test_masks_are_packed_in_a_bucket_and_go_on_from_there(cloud, mask_format):
    job = Job(cloud.root + "/out", mask_format=mask_format)

    def finish(numbers):
        masks = [EncodedMask(row(number), b"mask %d" % number) for number in numbers]
        rows = write_part(job.output, masks)
        append(job.output, rows)
        return rows

    start(job)
    shard = shard_name(0, 1, mask_format)
    write_shard(job.output, shard, finish(range(3)), job)
    commit(job.output, Packed(1, 3))
    drop_parts(job.output, with_rows=True)
    packed = list(journaled_rows(job.output))
    assert {one.item.stored.file for one in packed} == {shard}
    # A new image has come.
    moved = empty_shard(job.output, shard, packed, mask_format)
    open_packing(job.output)
    write_shard(job.output, shard, [*moved, *finish([3])], job)
    held = list(read_masks(f"{job.output}/{shard}", mask_format))
    assert held == [(row(number).key, b"mask %d" % number, b"") for number in range(4)]


def journaled_rows(output):
    return newest(line for path in journal_files(output) for line in read_lines(path)).values()


def test_a_write_is_one_request_and_so_is_a_read(cloud):
    write_file(cloud.root, "out/a", b"data")
    assert cloud.writes() == ["out/a"]
    assert read_file(f"{cloud.root}/out/a") == b"data"
    assert len(cloud.requests) == 2


def test_a_connection_that_breaks_is_made_again(cloud):
    fails(cloud, BREAK)
    write_file(cloud.root, "in/a", b"data")
    fails(cloud, BREAK)
    assert read_file(f"{cloud.root}/in/a") == b"data"
    assert cloud.names() == ["in/a"]


def test_a_write_that_is_interrupted_publishes_nothing(cloud, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(http.client.HTTPConnection, "send", interrupted)
    monkeypatch.setattr(http.client.HTTPConnection, "endheaders", interrupted)
    with pytest.raises(BaseException):  # noqa: B017 - it may come wrapped
        write_file(cloud.root, "out/a", bytes(9 << 20))
    monkeypatch.undo()
    assert cloud.names() == []


def test_an_object_larger_than_any_image_is_refused(cloud, monkeypatch):
    monkeypatch.setattr(files, "MAX_FILE_BYTES", 1 << 20)
    write_file(cloud.root, "in/a", bytes(1 << 20))
    assert len(read_file(f"{cloud.root}/in/a")) == 1 << 20
    write_file(cloud.root, "in/a", bytes((1 << 20) + 1))
    with pytest.raises(BadImage, match="over 1 MiB cannot be an image"):
        read_file(f"{cloud.root}/in/a")


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_is_transient_is_tried_again_and_counted(cloud, status):
    with tallied() as tally:
        fails(cloud, *[status] * 3)
        write_file(cloud.root, "in/a", b"data")
        fails(cloud, *[status] * 3)
        assert read_file(f"{cloud.root}/in/a") == b"data"
    assert tally["retries"] == 6


@pytest.mark.parametrize("status", [401, 403])
def test_what_no_retry_helps_ends_the_job_at_once(cloud, status):
    write_file(cloud.root, "in/a", b"data")
    for lost, call in (
        (OutputLost, lambda: write_file(cloud.root, "out/a", b"data")),
        (InputLost, lambda: read_file(f"{cloud.root}/in/a")),
        (OutputLost, lambda: clear(cloud.root, ["in"])),
    ):
        cloud.requests.clear()
        cloud.fault = lambda *_: status
        with pytest.raises(lost, match="permission is denied|credentials are not accepted"):
            call()
        assert len(cloud.requests) <= 3  # Google's library renews its token twice.


def test_a_bucket_that_is_not_there_ends_the_job(cloud):
    scheme = cloud.root.partition(":")[0]
    with pytest.raises(OutputLost, match=f"cannot write to {scheme}://none: .* no such bucket"):
        write_file(f"{scheme}://none", "a", b"data")
    if scheme == "s3":  # Google's emulator says of both that nothing was found.
        with pytest.raises(InputLost, match="there is no such bucket"):
            read_file(f"{scheme}://none/a")


def test_an_object_that_is_not_there_is_its_own_trouble(cloud):
    with pytest.raises(Exception, match="404|NoSuchKey") as caught:
        read_file(f"{cloud.root}/in/none")
    assert not isinstance(caught.value, InputLost)
    assert len(cloud.requests) == 1


def test_a_folder_is_removed_in_batches(cloud, monkeypatch):
    monkeypatch.setattr(files, "_PAGE", 5)
    monkeypatch.setattr(objects, "_BATCH", 2)
    for number in range(12):
        cloud.put(f"in/{number:04}", b"")
    cloud.put("in2/a", b"")
    cloud.requests.clear()
    clear(cloud.root, ["in", "none"])
    assert cloud.names() == ["in2/a"]
    # Two questions whether a file has that name, five listings, and the batches.
    batches = 3 + 3 + 1 if cloud.root.startswith("gs") else 3
    assert len(cloud.requests) == 7 + batches


def test_what_cannot_be_deleted_is_said(cloud, monkeypatch):
    cloud.put("in/a", b"")
    kept = [("gs://photos/in/a", 403)]
    monkeypatch.setattr("apache_beam.io.gcp.gcsio.GcsIO.delete_batch", lambda *_: kept)
    if cloud.root.startswith("gs"):
        with pytest.raises(BeamIOError):
            objects.delete_objects(["gs://photos/in/a"])
        with pytest.raises(OutputLost, match="permission is denied"):
            clear(cloud.root, ["in"])
