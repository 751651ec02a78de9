"""The command's rows as Parquet and CSV, and from one to the other by a resume."""

import json

import duckdb
import numpy as np
import pytest
from PIL import Image

from tests.end_to_end.command import run_here
from tests.pipeline.shard_files import files_below

FLAGS = ("--masks=masks", "--truth=truth", "--output=out", "--no_report")


def names(folder):
    return [name for name in files_below(folder / "out") if not name.startswith("journal")]


@pytest.mark.slow
def test_a_resume_writes_the_same_rows_in_another_format_and_leaves_no_other(tmp_path):
    rng = np.random.default_rng(0)
    for kind in ("masks", "truth"):
        (tmp_path / kind).mkdir()
        for number in range(5):
            levels = rng.integers(0, 2, (3, 4), np.uint8) * 255 if number else np.zeros((3, 4))
            big = Image.fromarray(levels.astype(np.uint8)).resize(
                (40, 30), Image.Resampling.NEAREST
            )
            big.save(tmp_path / kind / f"{number}, 'x'.png")
    status, _, err = run_here(*FLAGS, "--metrics_format=parquet", cwd=tmp_path)
    assert status == 0, err
    ends = ("failures/failures-00000-of-00001.jsonl", "summary.json")
    parquet = "metrics/metrics-00000-of-00001.parquet"
    assert names(tmp_path) == sorted([parquet, *ends])
    with duckdb.connect() as base:
        query = "select key, mae, empty, bounding_box_width, guess from '{}' order by key"
        typed = base.execute(query.format(tmp_path / "out" / parquet)).fetchall()
        status, out, err = run_here(*FLAGS, "--resume", "--metrics_format=csv", cwd=tmp_path)
        assert status == 0 and out.startswith("5 images (5 of an earlier run)"), err
        assert names(tmp_path) == sorted([parquet.replace("parquet", "csv"), *ends])
        again = base.execute(query.format(tmp_path / "out" / parquet.replace("parquet", "csv")))
        assert again.fetchall() == typed
    status, _, err = run_here(*FLAGS, "--resume", cwd=tmp_path)
    assert status == 0, err
    path = tmp_path / "out" / parquet.replace("parquet", "jsonl")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    boxes = [(row["bounding_box"] or [None] * 4)[2] for row in rows]
    assert [
        (row["key"], row["mae"], row["empty"], box, None)
        for row, box in zip(rows, boxes, strict=True)
    ] == typed
