"""A stand-in for the storage of clouds, which Beam finds by the scheme ``store://``."""

import io

from apache_beam.io.filesystem import FileMetadata, FileSystem


class ObjectStore(FileSystem):
    """Names without folders, as Google Cloud Storage and S3 have them, in memory."""

    files: set[str] = set()  # noqa: RUF012 - Beam makes an instance for every call
    content = b""

    @classmethod
    def scheme(cls):
        return "store"

    def join(self, *parts):
        return "/".join(part.rstrip("/") for part in parts)

    def has_dirs(self):
        return False

    def _list(self, dir_or_prefix):
        return (
            FileMetadata(name, 1) for name in sorted(self.files) if self._below(name, dir_or_prefix)
        )

    @staticmethod
    def _below(name, prefix):
        return name.startswith(prefix)

    def exists(self, path):
        return path in self.files

    def metadata(self, path):
        return FileMetadata(path, 1)

    def delete(self, paths):
        # By name, as S3 does.
        for path in paths:
            self.files.discard(path)

    def open(self, path, *_, **__):
        return io.BytesIO(self.content)

    def create(self, path, *_, **__):
        self.files.add(path)
        return io.BytesIO()

    def rename(self, sources, targets):
        for source, target in zip(sources, targets, strict=True):
            self.files.remove(source)
            self.files.add(target)

    def _none(self, *_, **__):
        raise NotImplementedError

    split = mkdirs = copy = size = last_updated = checksum = _none
