"""Two checkouts against each other; small scripts stand for their `run_pipeline.py`."""

import pytest

from benchmarks.before_and_after import comparison, main
from benchmarks.results_files import read

SCRIPT = """
import argparse, os, pathlib, sys, time
assert os.environ["PYTHONPATH"].split(os.pathsep)[0] == os.getcwd() == {folder!r}
parser = argparse.ArgumentParser()
parser.add_argument("--input", type=pathlib.Path)
parser.add_argument("--output", type=pathlib.Path)
arguments = parser.parse_args()
photos = sorted(arguments.input.iterdir())
for folder in ("masks", "metrics", "journal"):
    (arguments.output / folder).mkdir()
for photo in photos[{skipped}:]:
    (arguments.output / "masks" / photo.name).write_text("mask")
(arguments.output / "metrics" / "rows").write_text({rows!r})
(arguments.output / "journal" / "rows").write_text(str(time.time()))
time.sleep({seconds})
"""


@pytest.fixture
def checkout(tmp_path):
    """Makes a checkout, of which a test says what it writes and how long it takes."""

    def make(name, rows="rows", seconds=0, skipped=0):
        folder = tmp_path / name
        folder.mkdir()
        code = SCRIPT.format(folder=str(folder), rows=rows, seconds=seconds, skipped=skipped)
        (folder / "run_pipeline.py").write_text(code)
        return ["--" + name, str(folder)]

    return make


FLAGS = ["--photos", "3", "--megapixels", "0.01", "--rounds", "1"]


def test_both_are_timed_and_equal_outputs_are_called_equal(checkout, tmp_path, capsys):
    checkouts = [*checkout("before"), *checkout("after", seconds=1)]
    assert main([*checkouts, *FLAGS, "--output", str(tmp_path / "result.json")]) == 0
    before, after = read(tmp_path / "result.json").rows
    assert after["seconds"] > before["seconds"] + 0.5
    ratio = after["seconds"] / before["seconds"]
    assert after["seconds to before's"] == pytest.approx(ratio)
    printed = capsys.readouterr().out
    assert "masks/ in each round: equal, 3 files" in printed
    assert "metrics/ in each round: equal, 1 files" in printed


def test_other_rows_are_found(checkout, capsys):
    assert main([*checkout("before"), *checkout("after", rows="other"), *FLAGS]) == 1
    printed = capsys.readouterr().out
    assert "masks/ in each round: equal" in printed
    assert "metrics/ in each round: 1 of 1 files differ, first metrics/rows" in printed


def test_a_checkout_that_leaves_out_a_mask_is_no_measurement(checkout):
    with pytest.raises(RuntimeError, match="after wrote 0 masks"):
        main([*checkout("before"), *checkout("after", skipped=1), *FLAGS])


def test_files_that_one_output_lacks_differ():
    before = {"masks/a.png": "1", "masks/b.png": "2", "metrics/rows": "3"}
    after = {"masks/a.png": "1", "metrics/rows": "3", "metrics/more": "4"}
    assert comparison(before, after) == {
        "masks": "1 of 2 files differ, first masks/b.png",
        "metrics": "1 of 2 files differ, first metrics/more",
    }
