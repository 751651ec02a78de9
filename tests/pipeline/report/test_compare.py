"""Two outputs side by side: what is in both, and what changed, as plain loops count it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.report.compare import SAME, compare, joined
from pipeline.storage.row_files import encode_rows
from tests.pipeline.report.rows import ROWS

KEYS = st.sets(st.text(max_size=3)).map(sorted)


@given(KEYS, KEYS)
def test_sorted_streams_are_joined_by_their_keys(first, second):
    streams = [iter([{"key": key} for key in keys]) for keys in (first, second)]
    found = [tuple(one and one["key"] for one in pair) for pair in joined(*streams)]
    expected = [
        (key if key in first else None, key if key in second else None)
        for key in sorted({*first, *second})
    ]
    assert found == expected


def lay(folder, rows, kind="jsonl", files=2):
    """Files of rows as a job writes them."""
    (folder / "metrics").mkdir(parents=True)
    for number in range(files):
        lines = sorted((row["key"], json.dumps(row)) for row in rows[number::files])
        name = f"metrics-{number:05d}-of-{files:05d}.{kind}"
        encoded = encode_rows([line for _, line in lines], kind)
        (folder / "metrics" / name).write_bytes(encoded)
    return str(folder)


@pytest.mark.parametrize(("kinds", "files"), [(("jsonl", "parquet"), 2), (("csv", "jsonl"), 3)])
def test_it_counts_what_changed_in_files_of_any_kind_and_number(tmp_path, kinds, files):
    rows = [json.loads(row.to_json()) for row in ROWS]
    changed = [dict(row) for row in rows[5:]] + [rows[0] | {"key": "new.jpg"}]
    for number, row in enumerate(changed):
        if "iou" in row:
            row["iou"] = min(1.0, max(0.0, row["iou"] + (number % 3 - 1) * 0.2))
    first, second = (
        lay(tmp_path / "a", rows, kinds[0]),
        lay(tmp_path / "b", changed, kinds[1], files),
    )
    made = compare(first, second)
    assert (made.both, made.only) == (55, [5, 1])
    before = {row["key"]: row for row in rows}
    changes = {
        row["key"]: row["iou"] - before[row["key"]]["iou"]
        for row in changed
        if row["key"] in before and "iou" in row
    }
    assert made.measured == len(changes)
    assert made.better == sum(change >= SAME for change in changes.values())
    assert made.worse == sum(change <= -SAME for change in changes.values())
    worse = [pair.first["key"] for pair in made.tops["worse"].elements()]
    assert worse == sorted(worse, key=lambda key: (changes[key], key))
    assert made.tops["changed"].elements() == []


def test_an_output_without_rows_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no metrics/"):
        compare(str(tmp_path), str(tmp_path))
