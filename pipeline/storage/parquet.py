"""Parquet files whose rows are images, read one row group after the other, a row at a time."""

from __future__ import annotations

import functools
import gzip
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, BinaryIO

from pipeline.failures import BadImage, Failure
from pipeline.records import Truth
from pipeline.storage.parquet_columns import Columns, columns_of, has_path
from pipeline.storage.parquet_pages import ColumnChunk, PageGuard
from pipeline.storage.pieces import PIECE
from pipeline.storage.raw_records import (
    MAX_RECORD_BYTES,
    Features,
    Fields,
    NothingThere,
    RawRecord,
    too_large,
)

# Arrow makes objects of ten times as many bytes of the footer. One of 100,000 row groups has less.
MAX_FOOTER_BYTES = 64 << 20
_ABSOLUTE = re.compile(r"[/\\]|[A-Za-z]:[/\\]|[a-z][a-z0-9+.-]*://")
_MAGIC, _ENCRYPTED = b"PAR1", b"PARE"


def read_records(file: BinaryIO, start: int, fields: Fields) -> Iterator[RawRecord]:
    """The records of a shard: its rows. Their place in the shard is their number.

    Args:
        file: The opened shard.
        start: Number of the first.
        fields: The columns that are meant, see ``columns_of``.

    Yields:
        Each row. The rest of a row group that cannot be read is one record of many.

    Raises:
        BadImage: It is no such file, or the columns are not there.
        Exception: Storage fails.
    """
    table = _Table(file, fields)
    columns = table.columns
    wanted = [path for path in (columns.image, columns.truth, columns.name) if path]
    return table.rows(wanted, start, functools.partial(_features, columns=columns))


def read_names(file: BinaryIO, start: int, fields: Fields) -> Iterator[RawRecord]:
    """As ``read_records``, but only the names of the records are there. No image is read."""
    table = _Table(file, fields)
    columns, name = table.columns, table.columns.name
    if name is None and has_path(table.schema, columns.image):
        name = (*columns.image, "path")
    wanted = [name] if name else []
    return table.rows(wanted, start, lambda row: Features(_key(row, columns)))


class _Table:
    """An opened file, and the columns that are meant.

    Raises:
        BadImage: As of ``read_records``.
    """

    def __init__(self, file: BinaryIO, fields: Fields):
        # Imported here because who reads no Parquet does not need it.
        from pyarrow.parquet import ParquetFile

        if isinstance(file, gzip.GzipFile):
            raise BadImage("broken_shard", "a gzip archive, and no Parquet file; unpack it first")
        size = file.seek(0, os.SEEK_END)
        _check_ends(file, size)
        self._guard = PageGuard(file, size)
        try:
            self._file = ParquetFile(
                self._guard,
                buffer_size=PIECE,
                pre_buffer=False,
                page_checksum_verification=True,
                arrow_extensions_enabled=False,
            )
            self.schema = self._file.schema_arrow
            self._metadata = self._file.metadata
            counts = [
                self._metadata.row_group(n).num_rows for n in range(self._file.num_row_groups)
            ]
        except Exception as error:
            raise self._fault(error, "its footer") from error
        # Each row takes some bytes, but for those of a file that was made up.
        if any(count < 0 for count in counts) or sum(counts) > size:
            raise BadImage("bomb", f"a Parquet file of {size} bytes that claims {sum(counts)} rows")
        self._counts = counts
        self.columns = columns_of(self.schema, fields)

    def rows(self, wanted: list[tuple[str, ...]], start: int, features_of) -> Iterator[RawRecord]:
        """The rows from a number on.

        Args:
            wanted: Paths of the columns that are read.
            start: Number of the first row.
            features_of: From a row, a dict, to its features.
        """
        first = 0
        for group, count in enumerate(self._counts):
            if start < first + count:
                yield from self._rows_of_group(group, first, wanted, max(start, first), features_of)
            first += count

    def _rows_of_group(
        self, group: int, first: int, wanted: list[tuple[str, ...]], start: int, features_of
    ) -> Iterator[RawRecord]:
        end, number = first + self._counts[group], first
        fault = BadImage("truncated_shard", "it has fewer rows than its footer says")
        try:
            size = sum(chunk.end - chunk.start for chunk in self._chunks(group))
            for row in self._values(group, wanted):
                if number >= start:
                    parse = functools.partial(features_of, row)
                    is_entry = number == first
                    yield RawRecord(number + 1, size if is_entry else 0, parse, is_entry)
                number += 1
        except Exception as error:
            fault = self._fault(error, f"row group {group}")
        if (left := end - max(number, start)) > 0:
            yield RawRecord(end, is_entry=False, lost=fault, count=left)

    def _values(self, group: int, wanted: list[tuple[str, ...]]) -> Iterator[dict]:
        """The rows of a row group, as dicts, one after the other."""
        if not wanted:
            yield from ({} for _ in range(self._counts[group]))
            return
        names = [".".join(path) for path in wanted]
        self._guard.expect(self._chunks(group))
        # A row at a time: a dictionary can make gigabytes of a few rows.
        for batch in self._file.iter_batches(1, [group], names, use_threads=False):
            yield from batch.to_pylist()

    def _chunks(self, group: int) -> list[ColumnChunk]:
        metadata = self._metadata.row_group(group)
        chunks = []
        for index in range(metadata.num_columns):
            column = metadata.column(index)
            start = column.data_page_offset
            if column.has_dictionary_page and 0 < column.dictionary_page_offset < start:
                start = column.dictionary_page_offset
            end = start + column.total_compressed_size
            chunks.append(ColumnChunk(start, end, self._counts[group]))
        return chunks

    def _fault(self, error: Exception, what: str) -> BadImage:
        """What an error says of the file. An error of the storage is raised."""
        raised, self._guard.error = self._guard.error, None
        if isinstance(raised or error, BadImage):
            return raised or error
        if raised is not None:
            raise raised
        lines = str(error).strip().splitlines() or [type(error).__name__]
        reason = "unsupported" if "encrypt" in lines[0] else "broken_shard"
        return BadImage(reason, f"{what} cannot be read: {lines[0]}")


def _check_ends(file: BinaryIO, size: int) -> None:
    """Looks at how a file begins and ends, before Arrow reads its footer."""
    file.seek(0)
    magic = file.read(len(_MAGIC))
    file.seek(max(0, size - 8))
    tail = file.read(8)
    if magic == _ENCRYPTED or tail[4:] == _ENCRYPTED:
        raise BadImage("unsupported", "the Parquet file is encrypted")
    if magic != _MAGIC:
        raise BadImage("broken_shard", "it does not begin like a Parquet file")
    if tail[4:] != _MAGIC:
        raise BadImage("truncated_shard", "the Parquet file is cut short: it has no footer")
    footer = int.from_bytes(tail[:4], "little")
    if footer > MAX_FOOTER_BYTES:
        text = f"a Parquet file with a footer of {footer} bytes; write larger row groups"
        raise BadImage("too_large", text)


def _features(row: dict, columns: Columns) -> Features:
    """What a row holds."""
    data, fault = _content(_at(row, columns.image), columns.image)
    features = Features(_key(row, columns), data, fault=fault)
    if columns.truth is None:
        return features
    stored = _at(row, columns.truth)
    if stored is None or (isinstance(stored, dict) and not any(stored.values())):
        return features
    data, fault = _content(stored, columns.truth)
    failure = fault and Failure.of(features.key, "read", fault)
    return replace(features, truth=Truth(data or b"", failure))


def _content(value: dict | bytes | None, column: tuple[str, ...]) -> tuple:
    """The bytes of an image, or why there are none."""
    path = value.get("path") if isinstance(value, dict) else None
    data = value.get("bytes") if isinstance(value, dict) else value
    if data is None:
        name = ".".join(column)
        if not path:
            return None, NothingThere("missing_feature", f"the column {name!r} holds nothing")
        there = f"nothing but the path {path!r}; store the images in it"
        return None, BadImage("missing_feature", f"the column {name!r} holds {there}")
    if len(data) > MAX_RECORD_BYTES:
        return None, too_large("an image", len(data))
    return data, None


def _key(row: dict, columns: Columns) -> str:
    """The name of a row; empty if it has none."""
    if columns.name is not None:
        value = _at(row, columns.name)
        return "" if value is None else str(value)
    path = _at(row, (*columns.image, "path")) or ""
    # The folders of somebody's disk say nothing.
    return re.split(r"[/\\]", path)[-1] if _ABSOLUTE.match(path) else path


def _at(row: dict, path: tuple[str, ...]) -> Any:
    """The value of a column; None if it, or what it is in, is null."""
    value: Any = row
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value
