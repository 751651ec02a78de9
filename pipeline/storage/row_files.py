"""Rows of metrics as JSON Lines, Parquet or CSV.

A row comes as its line of JSON. Columns and their types are those of ``pipeline.columns``, the same
in each file, also where no row has a value.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

from pipeline.columns import BOX, BOX_TYPE, METRICS, NUMBER, TEXT, WHOLE, YES_NO

# Column to type, as Parquet and CSV have them.
COLUMNS = {
    name: WHOLE if each.type == BOX_TYPE else each.type
    for each in METRICS
    for name in ([f"{each.name}_{part}" for part in BOX] if each.type == BOX_TYPE else [each.name])
}
# Rows that are held as dicts, which take much more memory than their lines.
_BATCH = 4096
_BOXES = [each.name for each in METRICS if each.type == BOX_TYPE]


def encode_rows(lines: Sequence[str], kind: str) -> bytes:
    """The content of a file of rows.

    Args:
        lines: A row as JSON in each.
        kind: A key of ``KINDS``.

    Raises:
        ValueError: A row has a value for which there is no column.
    """
    return KINDS[kind](lines)


def read_rows(file: BinaryIO, kind: str) -> Iterator[dict]:
    """The rows of a file that ``encode_rows`` made, in its order, few at a time.

    Args:
        file: The file.
        kind: A key of ``KINDS``.

    Yields:
        What each row has a value for. Of Parquet and CSV, boxes are their columns.
    """
    if kind == "jsonl":
        yield from map(json.loads, file)
    elif kind == "csv":
        read = {WHOLE: int, NUMBER: float, YES_NO: "true".__eq__}
        for row in csv.DictReader(map(bytes.decode, file)):
            yield {
                name: read.get(COLUMNS[name], str)(value) for name, value in row.items() if value
            }
    else:
        import pyarrow.parquet

        for batch in pyarrow.parquet.ParquetFile(file).iter_batches(_BATCH):
            for row in batch.to_pylist():
                yield {name: value for name, value in row.items() if value is not None}


def _jsonl(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _csv(lines: Sequence[str]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for line in lines:
        row = _flat(json.loads(line))
        writer.writerow([_in_csv(row.get(name)) for name in COLUMNS])
    return text.getvalue().encode()


def _parquet(lines: Sequence[str]) -> bytes:
    # Imported here because building a graph does without it.
    import pyarrow as pa
    import pyarrow.parquet

    types = {TEXT: pa.string(), WHOLE: pa.int64(), NUMBER: pa.float64(), YES_NO: pa.bool_()}
    schema = pa.schema([(name, types[kind]) for name, kind in COLUMNS.items()])
    batches = []
    for start in range(0, len(lines), _BATCH):
        rows = [_flat(json.loads(line)) for line in lines[start : start + _BATCH]]
        batches.append(pa.RecordBatch.from_pylist(rows, schema))
    file = io.BytesIO()
    pyarrow.parquet.write_table(pa.Table.from_batches(batches, schema), file)
    return file.getvalue()


def _flat(row: dict) -> dict:
    """A row of values that a column can hold."""
    for name in _BOXES:
        box = row.pop(name, None)
        if box is not None:
            row |= zip((f"{name}_{part}" for part in BOX), box, strict=True)
    if unknown := row.keys() - COLUMNS.keys():
        raise ValueError(f"there is no column for {', '.join(sorted(unknown))}")
    return {name: _text(value) if isinstance(value, str) else value for name, value in row.items()}


def _text(text: str) -> str:
    r"""Text that is Unicode: half a surrogate pair, as of a file's name in no coding, as \udcff."""
    return text.encode(errors="backslashreplace").decode()


def _in_csv(value: object) -> object:
    """A value as readers of CSV know it: ``true`` and ``false``, and nothing for none."""
    return str(value).lower() if isinstance(value, bool) else value


KINDS: dict[str, Callable[[Sequence[str]], bytes]] = {
    "jsonl": _jsonl,
    "parquet": _parquet,
    "csv": _csv,
}
