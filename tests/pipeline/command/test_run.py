"""The command up to the start of a job; whole runs are in tests/end_to_end."""

import pytest

from pipeline.command.interrupts import LastWords
from pipeline.command.run import annotate
from tests.pipeline.shard_files import files_below, lay


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A folder with an image, to be in."""
    monkeypatch.chdir(tmp_path)
    lay(tmp_path, "in/a.jpg")
    return tmp_path


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--imput=in"], "unknown argument '--imput=in'; did you mean --input?"),
        (["--input=none"], "--input 'none' matches no file"),
        (["--input=in", "--batch_size=0"], "--batch_size must be at least 1; got 0"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(here, capsys, flags, message):
    assert annotate(flags) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"run_pipeline.py: {message}\n")
    assert files_below(here) == ["in/a.jpg"]


def test_a_plan_is_printed_and_nothing_is_done(here, capsys):
    assert annotate(["--input=in", "--plan"]) == 0
    assert capsys.readouterr().out.startswith("input    1 image files, 0 shards\n")
    assert files_below(here) == ["in/a.jpg"]


@pytest.mark.parametrize("flags", [["--input=none"], ["--input=in", "--plan"]])
def test_before_a_job_starts_an_interrupt_finds_that_nothing_was_done(here, flags):
    words = LastWords("nothing was done yet")
    annotate(flags, words)
    assert words.text == "nothing was done yet"
