"""A look at the pages of a Parquet file before Arrow unpacks them.

Arrow reserves what the head of a page says that it unpacks to. The heads are structs of Thrift's
compact protocol. They are read here as they pass by, so that nothing is read twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from pipeline.failures import BadImage
from pipeline.storage.pieces import read_bytes
from pipeline.tally import add

# Most bytes that a page unpacks to. Writers put a whole group of 100 photos into one.
MAX_PAGE_BYTES = 512 << 20
# Heads hold the least and the largest value of a page, which writers cut off at some kilobytes.
_MAX_HEAD_BYTES = 1 << 20
_MAX_DEPTH = 8
# Fields of a PageHeader, and of the headers in it that have a number of values as their first.
_UNPACKED, _PACKED, _COUNTED = 2, 3, (5, 7, 8)
# Types of Thrift's compact protocol.
_TRUE, _FALSE, _BYTE, _NUMBERS, _DOUBLE, _BINARY, _STRUCT = 1, 2, 3, (4, 5, 6), 7, 8, 12


@dataclass(frozen=True)
class ColumnChunk:
    """The pages of one column in one row group.

    Attributes:
        start: Where they begin in the file.
        end: Where they end.
        values: How many values they have.
    """

    start: int
    end: int
    values: int


class PageGuard:
    """A file that Arrow can read, and that raises ``BadImage`` at a page that is a bomb.

    What storage raises is kept in ``error``, to be told from what Arrow makes of the file.

    Args:
        file: The opened file.
        size: Its bytes.
    """

    closed = False

    def __init__(self, file: BinaryIO, size: int):
        self.error: Exception | None = None
        self._file, self._size, self._at = file, size, 0
        # Where the next page of each column begins.
        self._next: dict[ColumnChunk, int] = {}

    def expect(self, chunks: Sequence[ColumnChunk]) -> None:
        """Names what is read next. Other parts of the file are not looked at."""
        self._next = {chunk: chunk.start for chunk in chunks}

    def read(self, size: int = -1) -> bytes:
        """Reads on, as a file does."""
        try:
            self._file.seek(self._at)
            left = max(0, self._size - self._at)
            data = read_bytes(self._file, left if size < 0 else min(size, left))
            start, self._at = self._at, self._at + len(data)
            add("bytes_read", len(data))
            for chunk in self._next:
                self._look(chunk, start, data)
        except Exception as error:
            self.error = error
            raise
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """Moves to a place, as a file does."""
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def tell(self) -> int:
        """The place where reading goes on."""
        return self._at

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def writable(self) -> bool:
        """False."""
        return False

    def flush(self) -> None:
        """Does nothing, as nothing is written."""

    def close(self) -> None:
        """Leaves the file open: who opened it closes it."""

    def _look(self, chunk: ColumnChunk, start: int, data: bytes) -> None:
        """Checks the pages of a column that begin within what was read."""
        end = min(start + len(data), chunk.end)
        while (at := self._next[chunk]) < end:
            if at < start < chunk.end:
                raise BadImage("broken_shard", "a page is read from its middle")
            if at < start:
                return
            try:
                length = _page_length(data, at - start, chunk.values)
            except IndexError:  # The rest of its head is behind what was read.
                self._file.seek(at)
                length = _page_length(read_bytes(self._file, _MAX_HEAD_BYTES), 0, chunk.values)
            self._next[chunk] = at + length


def _page_length(data: bytes, at: int, most_values: int) -> int:
    """Bytes of the page whose head begins at a place, head included.

    Raises:
        BadImage: It unpacks to more than any page may, or its head is damaged.
        IndexError: The head is not whole.
    """
    head = _Thrift(data, at)
    fields = head.struct()
    unpacked, packed = fields.get(_UNPACKED, -1), fields.get(_PACKED, -1)
    if not 0 <= unpacked <= MAX_PAGE_BYTES:
        limit = MAX_PAGE_BYTES >> 20
        text = f"a page of {unpacked} bytes; at most {limit} MiB are read: write smaller row groups"
        raise BadImage("too_large" if unpacked > 0 else "broken_shard", text)
    counts = [fields[field].get(1, 0) for field in _COUNTED if field in fields]
    if packed < 0 or any(not 0 <= count <= most_values for count in counts):
        raise BadImage("broken_shard", "the head of a page is damaged")
    return head.at - at + packed


class _Thrift:
    """Reads structs of Thrift's compact protocol, numbers and structs only.

    Args:
        data: What they are in.
        at: Where the first begins.
    """

    def __init__(self, data: bytes, at: int):
        self._data = data
        self.at = at

    def struct(self, depth: int = 0) -> dict:
        """The fields of a struct, by their numbers: whole numbers, and dicts for structs."""
        if depth > _MAX_DEPTH:
            raise BadImage("broken_shard", "the head of a page is damaged")
        fields, field = {}, 0
        while kind := self._byte():
            field = field + (kind >> 4) if kind >> 4 else self._number()
            value = self._value(kind & 15, depth)
            if value is not None:
                fields[field] = value
        return fields

    def _value(self, kind: int, depth: int) -> int | dict | None:
        if kind in (_TRUE, _FALSE):  # The value is the type.
            return None
        if kind == _BYTE:
            return self._byte()
        if kind in _NUMBERS:
            return self._number()
        if kind == _STRUCT:
            return self.struct(depth + 1)
        if kind not in (_DOUBLE, _BINARY):  # No head of a page has lists or maps.
            raise BadImage("broken_shard", "the head of a page is damaged")
        length = 8 if kind == _DOUBLE else self._unsigned()
        self.at += length
        return None

    def _number(self) -> int:
        number = self._unsigned()
        return number >> 1 ^ -(number & 1)

    def _unsigned(self) -> int:
        number = shift = 0
        while True:
            byte = self._byte()
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number
            if shift > 63:
                raise BadImage("broken_shard", "the head of a page is damaged")

    def _byte(self) -> int:
        byte = self._data[self.at]
        self.at += 1
        return byte
