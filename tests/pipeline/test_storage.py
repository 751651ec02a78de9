"""Files on storage: whole or not at all, and what is said when nothing can be written."""

import io
import os
from pathlib import Path

import pytest
from apache_beam.io.filesystems import FileSystems

from pipeline import storage
from pipeline.storage import write_file


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
        raise OSError("no space left")

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
            raise OSError("no space left")

        monkeypatch.setattr(FileSystems, "rename", rename)
    with pytest.raises(OSError, match="no space left"):
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
