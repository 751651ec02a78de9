"""Members of tar archives, one after the other, whoever wrote them. Nothing is unpacked to disks.

``tarfile`` parses each header. Its own loop over them takes a damaged header for the end of the
archive, reads extended headers of any size, and never ends at some negative sizes.
"""

from __future__ import annotations

import gzip
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from pipeline.failures import BadImage
from pipeline.storage.pieces import MAX_SKIPPED, read_bytes, skip_bytes

BLOCK = 512
# Names and extended headers are shorter: Linux allows paths of 4 KiB.
MAX_HEADER_BYTES = 1 << 20
# An archive ends with zeros, filled up to 10 KiB as a rule.
MAX_ZEROS = 16 << 20
# No storage holds a longer member.
_MAX_SIZE = 1 << 43
# Each of them describes 21 parts of a sparse file.
_MAX_SPARSE_HEADERS = 10_000
_PAX = re.compile(rb"(\d{1,20}) ([^=]{1,1000})=")
# They describe the member after them.
_EXTENDED = (
    tarfile.XHDTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
_KINDS = {
    tarfile.LNKTYPE: "a hard link, which is not followed; pack the file itself",
    tarfile.SYMTYPE: "a symbolic link, which is not followed; pack the file itself",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
}


@dataclass(frozen=True)
class Member:
    """A member of an archive that is no folder.

    Attributes:
        name: Its path, as it is written there. No file is ever called so.
        start: Where in the archive its first header begins.
        size: Bytes of its content.
        fault: Why the content cannot be used, or None.
    """

    name: str
    start: int
    size: int
    fault: BadImage | None = None


def members_of(file: BinaryIO, start: int = 0) -> Iterator[Member]:
    """The members of an archive.

    When one is yielded, the file stands where its content begins, and the caller may read it.

    Args:
        file: The opened archive, unpacked.
        start: Where in it a header begins.

    Raises:
        BadImage: What follows cannot be read: the archive ends early, a header is damaged, or what
            is to be skipped in a compressed archive is too long.
    """
    if start:
        file.seek(start)
    first = at = start
    zeros, said = 0, {}
    while head := read_bytes(file, BLOCK):
        at += BLOCK
        if head == bytes(BLOCK):
            zeros += BLOCK
            if zeros > MAX_ZEROS:
                raise BadImage("broken_shard", "the tar goes on with nothing but zeros")
            first = at if not said else first
            continue
        zeros, info = 0, _header(head, at - BLOCK)
        if info.type in _EXTENDED:
            said |= _said_by(file, info)
        elif info.type != tarfile.XGLTYPE:  # Of all members: no program writes names there.
            at += _skip_sparse_headers(file, head) if info.type == tarfile.GNUTYPE_SPARSE else 0
            info.size = said.get("size", info.size)
            if not info.isdir():
                yield _member(info, first, said)
            said = {}
        at += _blocks(info)
        _go_on(file, at)
        first = at if not said else first
    if not zeros or said:
        raise BadImage("truncated_shard", "the tar is cut short: no zeros mark its end")


def content_of_member(file: BinaryIO, member: Member) -> bytes:
    """Reads the content of the member that was yielded last.

    Raises:
        BadImage: The archive ends within it.
    """
    content = read_bytes(file, member.size)
    if len(content) < member.size:
        raise BadImage("truncated_shard", f"the tar ends within {member.name}")
    return content


def _header(head: bytes, at: int) -> tarfile.TarInfo:
    if len(head) < BLOCK:
        raise BadImage("truncated_shard", "the tar ends within a header")
    try:
        info = tarfile.TarInfo.frombuf(head, "utf-8", "replace")
    except (tarfile.HeaderError, ValueError):
        raise BadImage("broken_shard", f"byte {at} is not the beginning of a member") from None
    if not 0 <= info.size <= _MAX_SIZE:
        raise BadImage("broken_shard", f"a member of {info.size} bytes")
    return info


def _said_by(file: BinaryIO, info: tarfile.TarInfo) -> dict:
    """What an extended header says of the next member: ``name``, ``size``, ``fault``."""
    if info.size > MAX_HEADER_BYTES:
        return {"fault": BadImage("bomb", f"behind an extended header of {info.size} bytes")}
    data = read_bytes(file, info.size)
    if len(data) < info.size:
        raise BadImage("truncated_shard", "the tar ends within a header")
    if info.type == tarfile.GNUTYPE_LONGNAME:
        return {"name": data.partition(b"\0")[0]}
    return {"link": b""} if info.type == tarfile.GNUTYPE_LONGLINK else _said_by_pax(data)


def _said_by_pax(data: bytes) -> dict:
    said, at = {"link": b""}, 0
    while record := _PAX.match(data, at):
        end = at + int(record[1])
        value = data[record.end() : end - 1]
        if not record.end() < end <= len(data):
            break
        if record[2] in (b"path", b"GNU.sparse.name"):
            said["name"] = value
        elif record[2] == b"size" and value.isdigit() and int(value[:20]) <= _MAX_SIZE:
            said["size"] = int(value[:20])
        elif record[2] == b"size":
            break
        if record[2].startswith(b"GNU.sparse."):
            said["fault"] = _sparse()
        at = end
    if data[at:].strip(b"\0"):
        said["fault"] = BadImage("broken_record", "behind a damaged header")
    return said


def _member(info: tarfile.TarInfo, start: int, said: dict) -> Member:
    name = said["name"].decode(errors="replace") if "name" in said else info.name
    fault = said.get("fault")
    if info.type == tarfile.GNUTYPE_SPARSE:
        fault = fault or _sparse()
    elif not info.isreg():
        fault = fault or BadImage("unsupported", _KINDS.get(info.type, "no plain file"))
    return Member(name, start, info.size, fault)


def _sparse() -> BadImage:
    return BadImage("unsupported", "a sparse file, which is not read; pack it without --sparse")


def _skip_sparse_headers(file: BinaryIO, head: bytes) -> int:
    """Skips the headers that go on with the parts of a sparse file, and returns their bytes."""
    more, count = head[482], 0
    while more:
        block, count = read_bytes(file, BLOCK), count + 1
        if len(block) < BLOCK or count > _MAX_SPARSE_HEADERS:
            raise BadImage("broken_shard", "the parts of a sparse file are listed without end")
        more = block[504]
    return count * BLOCK


def _blocks(info: tarfile.TarInfo) -> int:
    """Bytes that the content of a member takes; links and devices have none, whatever they say."""
    has_content = info.isreg() or info.type not in tarfile.SUPPORTED_TYPES
    has_content |= info.type in (*_EXTENDED, tarfile.XGLTYPE)
    return -(-info.size // BLOCK) * BLOCK if has_content else 0


def _go_on(file: BinaryIO, at: int) -> None:
    """Moves on to a place in the archive."""
    ahead = at - file.tell()
    if not isinstance(file, gzip.GzipFile):
        file.seek(at)
    elif ahead > MAX_SKIPPED:
        raise BadImage("broken_shard", f"{ahead} bytes of a compressed tar are too many to skip")
    else:
        skip_bytes(file, ahead)
