"""`run_pipeline.py` with a file system, flaky://, on which what is written fails now and then.

Run as a script, with the flags of the command. The environment variable FLAKY_SEED decides when.
"""

import os
import random
import shutil
import sys
import threading
from pathlib import Path

from apache_beam.io.filesystem import FileMetadata
from apache_beam.io.localfilesystem import LocalFileSystem

SCHEME = "flaky"
RATE = 0.15
_random = random.Random(int(os.environ.get("FLAKY_SEED", "0")))
_lock = threading.Lock()


def fail_now_and_then():
    with _lock:
        fails = _random.random() < RATE
    if fails:
        raise OSError("the storage fails now and then")


class HalfWritten:
    """A file of which sometimes only the first half arrives."""

    def __init__(self, file):
        self.file = file

    def write(self, data):
        self.file.write(data[: len(data) // 2])
        fail_now_and_then()
        self.file.write(data[len(data) // 2 :])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()


class FlakyFileSystem(LocalFileSystem):
    """Local files under another name."""

    @classmethod
    def scheme(cls):
        return SCHEME

    def has_dirs(self):
        return True

    def _list(self, dir_or_prefix):
        for found in super()._list(local(dir_or_prefix)):
            yield FileMetadata(f"{SCHEME}://{found.path}", found.size_in_bytes)

    def create(self, path, *args, **options):
        fail_now_and_then()
        return HalfWritten(super().create(local(path), *args, **options))

    def open(self, path, *args, **options):
        return super().open(local(path), *args, **options)

    def mkdirs(self, path):
        super().mkdirs(local(path))

    def exists(self, path):
        return super().exists(local(path))

    def metadata(self, path):
        return FileMetadata(path, os.path.getsize(local(path)))

    def rename(self, sources, targets):
        fail_now_and_then()
        super().rename([local(path) for path in sources], [local(path) for path in targets])
        fail_now_and_then()  # It was done all the same.

    def delete(self, paths):
        for match in self.match(paths):
            for found in match.metadata_list:
                path = local(found.path)
                shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)


def local(path):
    return path.removeprefix(f"{SCHEME}://")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from run_pipeline import main

    sys.exit(main(sys.argv[1:]))
