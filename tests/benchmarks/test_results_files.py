"""Goals, tables, and files that are read back."""

import numpy as np
import pytest

from benchmarks.results_files import Goal, Measured, markdown, publish, read


@pytest.mark.parametrize(
    ("measured", "relation", "bound", "met", "share"),
    [
        (0.4, "<=", 0.4, True, 1.0),
        (0.3, "<=", 0.4, True, 0.75),
        (0.5, "<=", 0.4, False, 1.25),
        (2.0, ">=", 2.0, True, 1.0),
        (4.0, ">=", 2.0, True, 0.5),
        (1.6, ">=", 2.0, False, 1.25),
    ],
)
def test_a_goal_is_met_up_to_its_bound(measured, relation, bound, met, share):
    goal = Goal("a ratio", measured, relation, bound)
    assert goal.met is met
    assert goal.share == pytest.approx(share)


def test_a_section_of_markdown():
    rows = [{"what": "ours", "seconds": 0.012345}, {"what": "theirs", "seconds": 12345.6, "n": 3}]
    goals = [Goal("ours to theirs", 0.5, "<=", 0.4), Goal("speed", 2.0, ">=", 2.0)]
    section = Measured(
        "A title", rows, goals, ["One note."], "python -m x", {"cores": "2"}, "today"
    )
    assert markdown(section).split("\n") == [
        "## A title",
        "",
        "| what | seconds | n |",
        "| --- | --- | --- |",
        "| ours | 0.0123 |  |",
        "| theirs | 12,346 | 3 |",
        "",
        "| goal | measured | bound | met |",
        "| --- | --- | --- | --- |",
        "| ours to theirs | 0.500 | ≤ 0.40 | **no** |",
        "| speed | 2.00 | ≥ 2.00 | yes |",
        "",
        "- One note.",
        "",
        "`python -m x`, today. cores 2.",
    ]


def test_floats_keep_three_digits_that_count():
    values = [0.0, 1.0, 9.996, 99.5, 0.00456, 123.4, 3e-7, float("inf")]
    lines = markdown(Measured("t", [{"x": value} for value in values], [], [])).split("\n")[4:12]
    shown = [line.strip("| ") for line in lines]
    assert shown == ["0", "1.00", "10.00", "99.5", "0.00456", "123", "3.0e-07", "inf"]
    for value, text in zip(values, shown, strict=True):
        np.testing.assert_allclose(float(text), value, rtol=0.005)


def test_what_is_published_is_read_back(tmp_path, capsys):
    rows = [{"what": "ours", "seconds": 0.5}]
    section = Measured("A title", rows, [Goal("ratio", 0.5, "<=", 0.4)], ["≤ is kept."])
    file = tmp_path / "figures.json"
    publish(section, "benchmarks.any", ["--rounds", "3", "a b"], file)
    again = read(file)
    assert markdown(again) + "\n" == capsys.readouterr().out
    assert (again.title, again.rows, again.goals) == ("A title", rows, section.goals)
    assert again.command == "python -m benchmarks.any --rounds 3 'a b'"
