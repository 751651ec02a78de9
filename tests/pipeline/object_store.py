"""A stand-in for the storage of clouds, which Beam finds by the scheme ``store://``."""

import io
from typing import ClassVar

from apache_beam.io.filesystem import FileMetadata, FileSystem


class ObjectStore(FileSystem):
    """Names without folders, as Google Cloud Storage and S3 have them, in memory.

    A test replaces ``files`` by its own: Beam makes an instance for every call.
    """

    files: ClassVar[dict[str, bytes]] = {}

    @classmethod
    def scheme(cls):
        return "store"

    def join(self, *parts):
        return "/".join(part.rstrip("/") for part in parts)

    def has_dirs(self):
        return False

    def _list(self, dir_or_prefix):
        for name in sorted(self.files):
            if name.startswith(dir_or_prefix):
                yield self.metadata(name)

    def exists(self, path):
        return path in self.files

    def metadata(self, path):
        return FileMetadata(path, len(self.files[path]))

    def delete(self, paths):
        # By name, as S3 does.
        for path in paths:
            self.files.pop(path, None)

    def open(self, path, *_, **__):
        return io.BytesIO(self.files[path])

    def create(self, path, *_, **__):
        return _Upload(self, path)

    def rename(self, sources, targets):
        for source, target in zip(sources, targets, strict=True):
            self.files[target] = self.files.pop(source)

    def _none(self, *_, **__):
        raise NotImplementedError

    split = mkdirs = copy = size = last_updated = checksum = _none


class _Upload(io.BytesIO):
    """What is written appears in the store when the file is closed."""

    def __init__(self, store, path):
        super().__init__()
        self.store, self.path = store, path

    def close(self):
        if not self.closed:
            self.store.files[self.path] = self.getvalue()
        super().close()
