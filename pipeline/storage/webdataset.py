"""WebDataset shards: tar archives whose members of one key, next to each other, are one record.

The key of a member is its path up to the first dot of its name, and its suffix is what follows:
``d/x.jpg`` and ``d/x.mask.png`` are the photo and the truth of ``d/x``. Members whose names begin
with a dot are of no record, as in the library ``webdataset``.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from model.image_formats import IMAGE_SUFFIXES
from pipeline.failures import BadImage, Failure
from pipeline.records import Truth
from pipeline.storage.raw_records import (
    MAX_RECORD_BYTES,
    Features,
    Fields,
    RawRecord,
    missing,
    too_large,
)
from pipeline.storage.tar_members import Member, content_of_member, members_of
from pipeline.tally import add

TRUTH = "mask.png"
IMAGES = frozenset(suffix[1:] for suffix in IMAGE_SUFFIXES)
# A name is shorter.
_MAX_NAME_BYTES = 1 << 16
# Suffixes of one record, of which some are named in a message.
_MAX_NAMED = 20


def read_records(file: BinaryIO, start: int, fields: Fields) -> Iterator[RawRecord]:
    """The records of a shard.

    Args:
        file: The opened shard, unpacked.
        start: Where in it the first record begins.
        fields: The suffixes that are meant. By convention the image is the first member with the
            suffix of an image, the truth is ``mask.png``, and the name is the key. Of a name in
            ``json``, it is the ``key`` of the object.

    Raises:
        BadImage: As of ``members_of``.
        Exception: The shard cannot be unpacked, or storage fails.
    """
    return _records(file, start, fields, with_content=True)


def read_names(file: BinaryIO, start: int, fields: Fields) -> Iterator[RawRecord]:
    """As ``read_records``, but only the names of the records are there."""
    return _records(file, start, fields, with_content=False)


def key_and_suffix(name: str) -> tuple[str, str] | None:
    """The key and the suffix of a member, in lower case; None if it is of no record."""
    folder, slash, last = name.removeprefix("./").rpartition("/")
    stem, _, suffix = last.partition(".")
    return (folder + slash + stem, suffix.lower()) if stem else None


def _records(
    file: BinaryIO, start: int, fields: Fields, *, with_content: bool
) -> Iterator[RawRecord]:
    record, count = None, 0
    try:
        for member in members_of(file, start):
            named = key_and_suffix(member.name)
            if named is None:
                continue
            key, suffix = named
            if record is None or record.key != key or suffix in record.suffixes:
                if record is not None:
                    yield record.raw(member.start)
                record, count = _Record(key, member.start, fields), count + 1
            record.add(file, member, suffix, with_content)
    except (BadImage, EOFError, zlib.error, gzip.BadGzipFile):
        if record is not None and record.has_image:
            yield record.raw(file.tell())
        raise
    if record is not None:
        yield record.raw(file.tell())
    if not count and not start:
        raise BadImage("no_images", f"the tar has no member such as x.jpg or x.{TRUTH}")


class _Record:
    """The members of one key, as far as they have come."""

    def __init__(self, key: str, start: int, fields: Fields):
        self.key = key
        self.suffixes: set[str] = set()
        self.has_image = False
        self._start = start
        self._image, truth, self._name = (
            name.lower().removeprefix(".") for name in (fields.image, fields.truth, fields.name)
        )
        self._truth = truth or TRUTH
        self._features: dict = {"key": "" if self._name else key}

    def add(self, file: BinaryIO, member: Member, suffix: str, with_content: bool) -> None:
        """Adds the member whose content the file stands at."""
        self.suffixes.add(suffix)
        if self._name and suffix == self._name:
            text = _text(file, member)
            self._features["key"] = _key_in(text) if suffix.endswith("json") else text
        elif self._is_image(suffix):
            if with_content:
                self._features["image"], self._features["fault"] = _content(file, member)
            self.has_image = True
        elif suffix == self._truth and with_content:
            content, fault = _content(file, member)
            failure = fault and Failure.of(self.key, "read", fault)
            self._features["truth"] = Truth(content or b"", failure)

    def _is_image(self, suffix: str) -> bool:
        if self._image:
            return suffix == self._image
        return not self.has_image and suffix in IMAGES and suffix != self._truth

    def raw(self, after: int) -> RawRecord:
        """The record, when all of its members have come."""
        if not self.has_image:
            wanted = f"member .{self._image or 'jpg or the like'}"
            there = [
                f".{suffix}" if suffix else "one without suffix"
                for suffix in sorted(self.suffixes)[:_MAX_NAMED]
            ]
            self._features["fault"] = missing(wanted, "image_field", there)
        features = Features(**self._features)
        return RawRecord(after, after - self._start, lambda: features)


def _content(file: BinaryIO, member: Member) -> tuple[bytes | None, BadImage | None]:
    """The content of a member, or why it is not read."""
    if member.fault is not None:
        return None, BadImage(member.fault.reason, f"{member.name} is {member.fault}")
    if member.size > MAX_RECORD_BYTES:
        return None, too_large("a member", member.size)
    content = content_of_member(file, member)
    add("bytes_read", len(content))
    return content, None


def _key_in(text: str) -> str:
    """The name in metadata: its ``key``, or all of it if it is a text; nothing if there is none."""
    try:
        facts = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    key = facts.get("key") if isinstance(facts, dict) else facts
    return key if isinstance(key, str) else ""


def _text(file: BinaryIO, member: Member) -> str:
    """The content of a member that is a name; nothing if it is none."""
    if member.fault is not None or member.size > _MAX_NAME_BYTES:
        return ""
    return content_of_member(file, member).decode(errors="replace").strip()
