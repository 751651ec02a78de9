"""Files on storage: whole or not at all, and what is said when nothing can be written."""

import errno
import io
import os
import traceback
from pathlib import Path

import pytest
from apache_beam.io.filesystems import FileSystems

from pipeline.storage import files as storage
from pipeline.storage.files import OutputLost, lost_output, write_file


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(storage, "PAUSES", (0, 0, 0))


def files_below(folder):
    return sorted(
        str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file()
    )


@pytest.mark.parametrize("name", ["a.png", "new/folder/a.png", "a [1].png", "b.gz", "c.bz2"])
def test_a_file_is_written_as_it_is_and_alone(tmp_path, name):
    data = os.urandom(1000)
    write_file(str(tmp_path), name, data)
    assert files_below(tmp_path) == [name]
    assert (tmp_path / name).read_bytes() == data


def test_an_empty_file_is_left_out_where_beam_cannot_write_one(tmp_path, monkeypatch):
    write_file(str(tmp_path), "none", b"")
    assert (tmp_path / "none").read_bytes() == b""
    written = []
    monkeypatch.setattr(storage, "_write_once", lambda output, name, data: written.append(name))
    write_file("s3://bucket/out", "none", b"")
    write_file("s3://bucket/out", "one", b"1")
    assert written == ["one"]


def test_a_file_that_is_there_is_replaced(tmp_path):
    write_file(str(tmp_path), "a", b"old and longer")
    write_file(str(tmp_path), "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert files_below(tmp_path) == ["a"]


class Full(io.RawIOBase):
    """A file on a full disk, of which half a write succeeds."""

    def __init__(self, file):
        self.file = file

    def write(self, data):
        self.file.write(data[: len(data) // 2])
        raise OSError("half of it")

    def close(self):
        self.file.close()
        super().close()


@pytest.mark.parametrize("name", ["a.png", "a [1].png", "b [x]/a.png"])
@pytest.mark.parametrize("failing", ["write", "rename"])
@pytest.mark.parametrize("existing", [False, True])
def test_a_write_that_fails_leaves_no_trace(tmp_path, monkeypatch, name, failing, existing):
    if existing:
        write_file(str(tmp_path), name, b"old")
    if failing == "write":
        create = FileSystems.create
        monkeypatch.setattr(
            FileSystems, "create", lambda *args, **options: Full(create(*args, **options))
        )
    else:

        def rename(*_):
            raise OSError("half of it")

        monkeypatch.setattr(FileSystems, "rename", rename)
    with pytest.raises(OSError, match="half of it"):
        write_file(str(tmp_path), name, b"new data")
    assert files_below(tmp_path) == ([name] if existing else [])
    assert not existing or (tmp_path / name).read_bytes() == b"old"


def test_nobody_sees_a_part_of_a_file_under_its_name(tmp_path, monkeypatch):
    seen = []
    create = FileSystems.create

    def spy(path, *args, **options):
        seen.append(path)
        return create(path, *args, **options)

    monkeypatch.setattr(FileSystems, "create", spy)
    write_file(str(tmp_path), "a", b"x")
    write_file(str(tmp_path), "a", b"x")
    assert f"{tmp_path}/a" not in seen
    assert len(set(seen)) == 2


@pytest.mark.parametrize("failing", ["create", "rename"])
def test_a_write_that_fails_now_and_then_is_tried_again(tmp_path, monkeypatch, failing):
    real, calls = getattr(FileSystems, failing), []

    def flaky(*args, **options):
        calls.append(args)
        if len(calls) < 4:
            raise OSError("the service is busy")
        return real(*args, **options)

    monkeypatch.setattr(FileSystems, failing, flaky)
    write_file(str(tmp_path), "a", b"x")
    assert (tmp_path / "a").read_bytes() == b"x" and len(calls) == 4
    assert files_below(tmp_path) == ["a"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.ESTALE])
@pytest.mark.parametrize("failing", ["open", "rename"])
def test_a_folder_that_takes_nothing_is_told_from_a_file_that_does_not(
    tmp_path, monkeypatch, failing, number
):
    calls = []

    def broken(*args):
        calls.append(args)
        raise OSError(number, os.strerror(number))

    # Below Beam, which wraps what is raised here.
    monkeypatch.setattr(io if failing == "open" else os, failing, broken)
    with pytest.raises(OutputLost, match=f"cannot write to {tmp_path}: "):
        write_file(str(tmp_path), "a", b"x")
    assert len(calls) == 1


def test_a_full_disk_is_told_from_a_real_one():
    if not os.access("/dev/full", os.W_OK):
        pytest.skip("this system has no full device")
    with open("/dev/full", "wb", buffering=0) as file, pytest.raises(OSError) as caught:
        file.write(b"x")
    assert storage._errno(caught.value) == errno.ENOSPC


@pytest.mark.parametrize("name", ["file/a", "a" * 300, "folder"])
def test_a_name_that_cannot_be_is_tried_once_and_is_its_own_trouble(tmp_path, monkeypatch, name):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    monkeypatch.setattr(storage.time, "sleep", lambda _: pytest.fail("tried again"))
    with pytest.raises(OSError):
        write_file(str(tmp_path), name, b"x")
    assert files_below(tmp_path) == ["file"]


def test_the_lost_output_behind_an_error_is_found():
    lost = OutputLost("cannot write to out: no space is left")
    try:
        try:
            raise lost
        except OutputLost as error:
            raise OutputLost(f"{error} [while running 'Write']") from error
    except OutputLost as error:
        assert lost_output(error) is lost
        text = "".join(traceback.format_exception(error))
    # As the error of a worker in another process comes.
    told = lost_output(RuntimeError(text))
    assert str(told) == "cannot write to out: no space is left"
    assert lost_output(ValueError("x")) is None


@pytest.mark.parametrize("output", ["out", "out [1]", "[x]", "new/deep", "out?", "*"])
def test_clearing_removes_what_is_named_and_no_more(tmp_path, monkeypatch, output):
    monkeypatch.chdir(tmp_path)
    # Others that would be matched if the name were a pattern.
    for other in ("x", "out1", "out 1"):
        write_file(other, "a/d", b"x")
    for name in ("a/b [2]/c", "a/d", "b", "c"):
        write_file(output, name, b"x")
    storage.clear(output, ["a", "b", "none"])
    assert files_below(tmp_path / output) == ["c"]
    assert sorted(path.name for path in (tmp_path / output).iterdir()) == ["c", "temporary"]
    assert all((tmp_path / other / "a" / "d").is_file() for other in ("x", "out1", "out 1"))


def test_clearing_what_is_not_there_is_no_error(tmp_path):
    storage.clear(str(tmp_path / "nothing"), ["a", "b"])
    (tmp_path / "b").write_bytes(b"x")
    storage.clear(str(tmp_path), ["a", "b"])
    assert files_below(tmp_path) == []


@pytest.mark.parametrize("name", ["a", "a [1]", "[x]/a*", "a?", "*", "a[1-9]"])
def test_deleting_takes_names_as_they_are(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write_file(".", name, b"x")
    write_file(".", "a1", b"x")
    storage.delete([name])
    assert files_below(tmp_path) == ["a1"]
