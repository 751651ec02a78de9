"""Names of finished images: the made-up journal is one that the command goes on with."""

import pytest

from benchmarks.finished_names import measure, summarize
from benchmarks.timed_commands import Usage


@pytest.mark.slow
def test_a_made_up_journal_finishes_every_image():
    found = measure([7])
    assert list(found) == [(7, "--plan"), (7, "--resume")]
    assert "7 images (7 of an earlier run), 0 failures" in found[7, "--resume"].text


def test_goals_are_of_a_million_images():
    found = {(count, "--plan"): Usage(30.0, 29.0, 800.0, "") for count in (1000, 1_000_000)}
    rows, goals = summarize(found)
    assert [row["finished images"] for row in rows] == [1000, 1_000_000]
    assert [goal.measured for goal in goals] == [30.0, 800.0]
