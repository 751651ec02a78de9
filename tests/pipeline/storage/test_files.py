"""Files on storage: whole or not at all, and what is said when nothing can be written."""

import contextlib
import errno
import io
import os
import resource
import tracemalloc
from typing import ClassVar

import pytest
from apache_beam.io.filesystem import BeamIOError

from pipeline.failures import BadImage, OutputLost
from pipeline.storage import errors, files
from pipeline.storage.files import (
    clear,
    delete,
    local_copy,
    read_file,
    write_file,
    write_large_file,
)
from tests.pipeline.object_store import ObjectStore
from tests.pipeline.shard_files import files_below


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(errors, "PAUSES", (0, 0, 0))


class Failing(ObjectStore):
    """Storage whose operations fail as often as a test says, and that notes what can be seen.

    A file can be seen while it is written, as on a disk.
    """

    errors: ClassVar[dict[str, list[Exception]]] = {}
    seen: ClassVar[list[dict[str, bytes]]] = []

    @classmethod
    def scheme(cls):
        return "failing"

    def has_dirs(self):
        return True

    def mkdirs(self, _):
        """Folders come with their files."""

    def create(self, path, *_, **__):
        self.fail("create")
        return _SeenWhileWritten(self, path)

    def rename(self, sources, targets):
        self.fail("rename")
        super().rename(sources, targets)
        self.note()

    def fail(self, operation):
        if self.errors.get(operation):
            raise self.errors[operation].pop()

    def note(self):
        self.seen.append(dict(self.files))


class _SeenWhileWritten(io.BytesIO):
    def __init__(self, store, path):
        super().__init__()
        self.store, self.path = store, path

    def write(self, data):
        for half in (data[: len(data) // 2], data[len(data) // 2 :]):
            super().write(half)
            self.store.files[self.path] = self.getvalue()
            self.store.note()
            self.store.fail("write")


@pytest.fixture
def store(monkeypatch):
    """The failing storage, empty."""
    for name, value in (("files", {}), ("errors", {}), ("seen", [])):
        monkeypatch.setattr(Failing, name, value)
    return Failing


# Writing


@pytest.mark.parametrize("name", ["a.png", "new/folder/a.png", "a [1].png", "b.gz", "c.bz2"])
def test_a_file_is_written_as_it_is_and_alone(tmp_path, name):
    data = os.urandom(1000)
    write_file(str(tmp_path), name, data)
    assert files_below(tmp_path) == [name]
    assert (tmp_path / name).read_bytes() == data


def test_a_file_that_is_there_is_replaced(tmp_path):
    write_file(str(tmp_path), "a", b"old and longer")
    write_file(str(tmp_path), "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert files_below(tmp_path) == ["a"]


@contextlib.contextmanager
def files_of_at_most(size):
    """Within, no file of this process can grow beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("folder", ["out", "out [1]"])
@pytest.mark.parametrize("existing", [False, True])
def test_a_write_that_fails_halfway_leaves_no_trace(tmp_path, folder, existing):
    output = tmp_path / folder
    if existing:
        write_file(str(output), "a [1].png", b"old")
    with files_of_at_most(5000), pytest.raises(OSError, match="File too large"):
        write_file(str(output), "a [1].png", bytes(10_000))
    assert files_below(output) == (["a [1].png"] if existing else [])
    assert not existing or (output / "a [1].png").read_bytes() == b"old"


def test_a_large_file_is_written_of_parts_or_not_at_all(tmp_path):
    def parts():
        yield b"new"
        raise ZeroDivisionError

    write_large_file(str(tmp_path), "a/b.json", iter([b"o", b"", b"ld"]))
    with pytest.raises(ZeroDivisionError):
        write_large_file(str(tmp_path), "a/b.json", parts())
    assert files_below(tmp_path) == ["a/b.json"]
    assert (tmp_path / "a" / "b.json").read_bytes() == b"old"
    with local_copy(f"{tmp_path}/a/b.json") as file:
        assert file.read() == b"old"


@pytest.mark.parametrize("failing", ["create", "write", "rename"])
@pytest.mark.parametrize("existing", [False, True])
def test_a_write_that_goes_on_failing_leaves_no_trace(store, failing, existing):
    if existing:
        write_file("failing://out", "a", b"old")
    store.errors[failing] = [OSError("half of it") for _ in range(9)]
    with pytest.raises(OSError, match="half of it"):
        write_file("failing://out", "a", b"new data")
    assert len(store.errors[failing]) == 5
    assert store.files == ({"failing://out/a": b"old"} if existing else {})


def test_nobody_sees_a_part_of_a_file_under_its_name(store):
    write_file("failing://out", "a", b"old")
    write_file("failing://out", "a", b"longer and new")
    seen = [state.get("failing://out/a") for state in store.seen]
    assert [content for content in seen if content is not None][-1] == b"longer and new"
    assert set(seen) == {None, b"old", b"longer and new"}
    assert store.files == {"failing://out/a": b"longer and new"}


class Refusing(Failing):
    """Storage that renames onto no file that is there, as HDFS."""

    @classmethod
    def scheme(cls):
        return "refusing"

    def rename(self, sources, targets):
        if any(target in self.files for target in targets):
            raise BeamIOError("Rename operation failed", {})
        super().rename(sources, targets)


@pytest.fixture
def refusing(store, monkeypatch):
    """The storage that refuses, empty."""
    for name in ("files", "errors", "seen"):
        monkeypatch.setattr(Refusing, name, getattr(store, name))
    return Refusing


def test_a_file_is_replaced_where_nothing_is_renamed_onto_it(refusing):
    write_file("refusing://out", "a", b"old")
    write_file("refusing://out", "a", b"new")
    assert refusing.files == {"refusing://out/a": b"new"}


def test_an_old_file_is_put_back_where_the_new_one_cannot_be_renamed(refusing, monkeypatch):
    write_file("refusing://out", "a", b"old")
    rename = Refusing.rename

    def fail(self, sources, targets):
        if sources[0].endswith("-old") or targets[0].endswith("-old"):
            return rename(self, sources, targets)
        raise OSError("no")

    monkeypatch.setattr(Refusing, "rename", fail)
    with pytest.raises(OSError, match="no"):
        write_file("refusing://out", "a", b"new")
    assert refusing.files == {"refusing://out/a": b"old"}


@pytest.mark.parametrize("failing", ["create", "write", "rename"])
def test_a_write_that_fails_now_and_then_is_tried_again(store, failing):
    store.errors[failing] = [OSError("the service is busy") for _ in range(3)]
    write_file("failing://out", "a", b"data")
    assert store.files == {"failing://out/a": b"data"}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.ESTALE])
@pytest.mark.parametrize("failing", ["create", "rename"])
def test_a_folder_that_takes_nothing_is_told_from_a_file_that_does_not(store, failing, number):
    error = OSError(number, os.strerror(number))
    if failing == "rename":  # As Beam's own storages say it.
        error = BeamIOError("Rename operation failed", {("a", "b"): error})
    store.errors[failing] = [error, error]
    with pytest.raises(OutputLost, match="cannot write to failing://out: "):
        write_file("failing://out", "a", b"data")
    # It was not tried again.
    assert store.errors[failing] == [error]


@pytest.mark.skipif(not os.path.isdir("/sys/kernel"), reason="nobody can write there on Linux")
def test_a_real_folder_that_takes_nothing_is_a_lost_output():
    with pytest.raises(OutputLost, match="cannot write to /sys/kernel/out: "):
        write_file("/sys/kernel/out", "a", b"data")


@pytest.mark.parametrize("name", ["file/a", "a" * 300, "folder"])
def test_a_name_that_cannot_be_is_tried_once_and_is_its_own_trouble(tmp_path, monkeypatch, name):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    # Whoever tried again would wait for longer than a test may.
    monkeypatch.setattr(errors, "PAUSES", (3600,))
    with pytest.raises(OSError):
        write_file(str(tmp_path), name, b"x")
    assert files_below(tmp_path) == ["file"]


# Reading


def test_a_file_named_like_a_compressed_one_is_read_as_it_is(tmp_path):
    data = os.urandom(3 << 20)
    (tmp_path / "a.gz").write_bytes(data)
    assert read_file(f"{tmp_path}/a.gz") == data


def test_a_file_larger_than_any_image_is_refused_and_is_not_held(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MAX_FILE_BYTES", 4 << 20)
    with (tmp_path / "a.jpg").open("wb") as file:
        file.truncate(64 << 20)
    tracemalloc.start()
    with pytest.raises(BadImage, match="over 4 MiB cannot be an image") as caught:
        read_file(f"{tmp_path}/a.jpg")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert caught.value.reason == "too_large" and peak < 8 << 20
    os.truncate(tmp_path / "a.jpg", 4 << 20)
    assert read_file(f"{tmp_path}/a.jpg") == bytes(4 << 20)


# Removing


@pytest.mark.parametrize("output", ["out", "out [1]", "[x]", "new/deep", "out?", "*"])
def test_clearing_removes_what_is_named_and_no_more(tmp_path, monkeypatch, output):
    monkeypatch.chdir(tmp_path)
    # Others that would be matched if the name were a pattern.
    for other in ("x", "out1", "out 1"):
        write_file(other, "a/d", b"x")
    for name in ("a/b [2]/c", "a/d", "b", "c"):
        write_file(output, name, b"x")
    clear(output, ["a", "b", "none"])
    assert files_below(tmp_path / output) == ["c"]
    assert sorted(path.name for path in (tmp_path / output).iterdir()) == ["c", "temporary"]
    assert all((tmp_path / other / "a" / "d").is_file() for other in ("x", "out1", "out 1"))


def test_clearing_what_is_not_there_is_no_error(tmp_path):
    clear(str(tmp_path / "nothing"), ["a", "b"])
    (tmp_path / "b").write_bytes(b"x")
    clear(str(tmp_path), ["a", "b"])
    assert files_below(tmp_path) == []


@pytest.mark.parametrize("name", ["a", "a [1]", "[x]/a*", "a?", "*", "a[1-9]"])
def test_deleting_takes_names_as_they_are(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write_file(".", name, b"x")
    write_file(".", "a1", b"x")
    delete([name])
    assert files_below(tmp_path) == ["a1"]
