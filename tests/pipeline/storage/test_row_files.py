"""Rows of metrics as Parquet and CSV, read back by pandas, pyarrow and DuckDB."""

import io
import json
import math
import random

import duckdb
import pandas
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from pipeline.columns import METRICS, NUMBER, TEXT, WHOLE, WITH_TRUTH, YES_NO
from pipeline.command.options import parse
from pipeline.storage.row_files import COLUMNS, KINDS, encode_rows

MEASURES = [each.name for each in METRICS if each.given == WITH_TRUTH]
BARE = {
    "key": "a.jpg",
    "status": "ok",
    "mask": "masks/a.png",
    "width": 40,
    "height": 30,
    "foreground_fraction": 0.0,
    "mean_confidence": 0.75,
    "uncertain_fraction": 0.1 + 0.2,
    "components": 0,
    "bounding_box": None,
    "touches_border": False,
    "empty": True,
}
FULL = {
    **BARE,
    "bounding_box": [1, 2, 30, 20],
    "empty": False,
    "guess": "12 bits",
    **{name: random.Random(name).random() for name in MEASURES},
}
STRANGE = (
    "line\nbreak.jpg",
    "carriage\rreturn\r\n.jpg",
    'a "quoted" name, with comma.jpg',
    "tab\tand ; | .jpg",
    "nul\0.jpg",
    " spaces around ",
    "'",
    '"',
    "\u2028 \u00e4 \U0001f600.jpg",
    "\ufeffmark.jpg",
    "=1+1",
    "NA",
    "null",
    "123",
    "true",
    "-",
)
TYPES = {TEXT: pa.string(), WHOLE: pa.int64(), NUMBER: pa.float64(), YES_NO: pa.bool_()}
IN_DUCKDB = {TEXT: "VARCHAR", WHOLE: "BIGINT", NUMBER: "DOUBLE", YES_NO: "BOOLEAN"}


def encoded(rows, kind):
    return encode_rows([json.dumps(row) for row in rows], kind)


def flat(row):
    """What a table holds of a row, None where it holds nothing."""
    box = row.get("bounding_box") or [None] * 4
    boxes = [f"bounding_box_{name}" for name in ("x", "y", "width", "height")]
    row = row | dict(zip(boxes, box, strict=True))
    return {name: row.get(name) for name in COLUMNS}


@pytest.fixture(params=["parquet", "csv"])
def kind(request):
    return request.param


def by_pandas(data, kind):
    if kind == "parquet":
        table = pandas.read_parquet(io.BytesIO(data), dtype_backend="numpy_nullable")
    else:
        types = {TEXT: "string", WHOLE: "Int64", NUMBER: "Float64", YES_NO: "boolean"}
        table = pandas.read_csv(
            io.BytesIO(data),
            dtype={name: types[each] for name, each in COLUMNS.items()},
            keep_default_na=False,
            na_values=[""],
            float_precision="round_trip",
            lineterminator="\n",
        )
    rows = table.to_dict("records")
    return [{k: None if v is pandas.NA else v for k, v in row.items()} for row in rows]


def by_pyarrow(data, kind):
    if kind == "parquet":
        table = pyarrow.parquet.read_table(io.BytesIO(data))
        assert {field.name: field.type for field in table.schema} == {
            name: TYPES[each] for name, each in COLUMNS.items()
        }
    else:
        options = pyarrow.csv.ConvertOptions(
            column_types={name: TYPES[each] for name, each in COLUMNS.items()},
            strings_can_be_null=True,
            null_values=[""],
        )
        table = pyarrow.csv.read_csv(
            io.BytesIO(data),
            parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
            convert_options=options,
        )
    return table.to_pylist()


def by_duckdb(data, kind, folder):
    path = folder / f"rows.{kind}"
    path.write_bytes(data)
    with duckdb.connect() as base:
        if kind == "parquet":
            found = base.execute("select * from read_parquet(?)", [str(path)])
        else:
            columns = {name: IN_DUCKDB[each] for name, each in COLUMNS.items()}
            found = base.execute(
                f"select * from read_csv(?, header=true, delim=',', quote='\"', escape='\"', "
                f"columns={columns}, auto_detect=false)",
                [str(path)],
            )
        names = [each[0] for each in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def assert_read(rows, kind, folder):
    data, expected = encoded(rows, kind), [flat(row) for row in rows]
    assert by_pyarrow(data, kind) == expected
    assert by_pandas(data, kind) == expected
    assert by_duckdb(data, kind, folder) == expected


def test_every_reader_gets_every_value_to_the_last_bit(kind, tmp_path):
    assert_read([BARE, FULL, {**BARE, "status": "bad_truth", "truth_error": "why"}], kind, tmp_path)


@pytest.mark.parametrize("key", STRANGE, ids=ascii)
def test_every_reader_gets_names_as_they_are(key, kind, tmp_path):
    assert_read([BARE | {"key": key}, FULL | {"guess": key}], kind, tmp_path)


@pytest.mark.parametrize("rows", [[], [BARE], [FULL]], ids=["none", "bare", "full"])
def test_columns_and_types_do_not_depend_on_the_rows(rows, kind, tmp_path):
    data = encoded(rows, kind)
    if kind == "csv":
        assert data.decode().splitlines()[0].split(",") == list(COLUMNS)
    else:
        schema = pyarrow.parquet.read_schema(io.BytesIO(data))
        assert [(field.name, field.type) for field in schema] == [
            (name, TYPES[each]) for name, each in COLUMNS.items()
        ]
    assert_read(rows, kind, tmp_path)


def test_numbers_that_are_none_keep_their_kind():
    data = encoded([FULL | {"mae": math.nan, "iou": None}], "parquet")
    (row,) = by_pyarrow(data, "parquet")
    assert math.isnan(row["mae"]) and row["iou"] is None


@pytest.mark.parametrize("key", ["\udcff.jpg", "half \ud83d.jpg"], ids=ascii)
def test_half_a_character_is_escaped_where_no_file_can_hold_it(key, kind, tmp_path):
    escaped = key.replace("\udcff", "\\udcff").replace("\ud83d", "\\ud83d")
    (row,) = by_duckdb(encoded([BARE | {"key": key}], kind), kind, tmp_path)
    assert row["key"] == escaped
    # Their own escapes tell them.
    assert json.loads(encoded([BARE | {"key": key}], "jsonl"))["key"] == key


def test_more_rows_than_are_held_at_once_stay_in_order(kind):
    rows = [BARE | {"key": f"{number:06}"} for number in range(10_000)]
    assert [row["key"] for row in by_pyarrow(encoded(rows, kind), kind)] == [
        row["key"] for row in rows
    ]


def test_the_same_rows_are_the_same_bytes(kind):
    assert encoded([BARE, FULL], kind) == encoded([BARE, FULL], kind)


def test_lines_stay_as_they_are():
    lines = [json.dumps(BARE), json.dumps(FULL)]
    assert encode_rows(lines, "jsonl") == f"{lines[0]}\n{lines[1]}\n".encode()


def test_a_value_without_a_column_is_no_silent_loss(kind):
    with pytest.raises(ValueError, match="there is no column for newest"):
        encoded([BARE | {"newest": 1}], kind)


@pytest.mark.parametrize("kind", KINDS)
def test_the_command_takes_what_is_written(kind):
    assert parse([f"--metrics_format={kind}"]).metrics_format == kind
