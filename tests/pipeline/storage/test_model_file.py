"""Model files: told apart by what they hold, and downloaded once a machine."""

import shutil
from pathlib import Path

import pytest
from apache_beam.io.filesystem import FileMetadata
from apache_beam.io.localfilesystem import LocalFileSystem

from pipeline.storage.model_file import content_of_model, local_copy


class Bucket(LocalFileSystem):
    """Files of this machine, as if they were far away."""

    opened: list[str] = []  # noqa: RUF012 - Beam makes an instance for every call

    @classmethod
    def scheme(cls):
        return "bucket"

    def open(self, path, *args, **options):
        self.opened.append(path)
        return super().open(path.removeprefix("bucket://"), *args, **options)

    def _list(self, dir_or_prefix):
        path = dir_or_prefix.removeprefix("bucket://")
        return iter([FileMetadata(dir_or_prefix, Path(path).stat().st_size)])


@pytest.fixture(autouse=True)
def fresh(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(Bucket, "opened", [])


def test_contents_tell_files_apart_wherever_they_are(tmp_path):
    for name, data in (("a.keras", b"one"), ("b.keras", b"two"), ("c.keras", b"one")):
        (tmp_path / name).write_bytes(data)
    a, b, c = (content_of_model(str(tmp_path / name)) for name in ("a.keras", "b.keras", "c.keras"))
    assert a == c != b and len(a) == 32
    assert content_of_model(f"bucket://{tmp_path}/a.keras") == a
    assert len(content_of_model("basnet_mini")) == 32


def test_a_local_file_is_used_where_it_is(tmp_path):
    assert local_copy(str(tmp_path / "a.keras"), "") == str(tmp_path / "a.keras")
    assert not (tmp_path / "cache").exists()


def test_a_remote_file_is_downloaded_once_and_again_when_the_copy_is_damaged(tmp_path):
    (tmp_path / "a.keras").write_bytes(b"one")
    model = f"bucket://{tmp_path}/a.keras"
    content = content_of_model(model)
    copy = Path(local_copy(model, content))
    assert copy.name == "a.keras" and copy.read_bytes() == b"one"
    assert local_copy(model, content) == str(copy) and len(Bucket.opened) == 1
    copy.write_bytes(b"poisoned")
    assert Path(local_copy(model, content)).read_bytes() == b"one"
    assert len(Bucket.opened) == 2
    files = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert files == [copy]


def test_a_file_that_has_changed_since_the_job_began_is_refused(tmp_path):
    (tmp_path / "a.keras").write_bytes(b"one")
    for model in (f"bucket://{tmp_path}/a.keras", f"{tmp_path}/a.keras"):
        (tmp_path / "a.keras").write_bytes(b"one")
        content = content_of_model(model)
        (tmp_path / "a.keras").write_bytes(b"two")
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
        with pytest.raises(ValueError, match="not what it was when the job began"):
            local_copy(model, content)
