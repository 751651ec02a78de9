"""Turns, goals, tables and what is read back."""

import platform
import subprocess
import sys

import numpy as np
import pytest

from benchmarks import measure
from benchmarks.measure import Goal, Measured, alternate, machine, markdown, publish, read, timed


def test_contenders_take_turns_and_every_second_round_is_backwards():
    calls = []
    contenders = {name: lambda name=name: calls.append(name) or len(calls) for name in "abc"}
    results = alternate(contenders, 3)
    assert "".join(calls) == "abc" + "cba" + "abc"
    assert results == {"a": [1, 6, 7], "b": [2, 5, 8], "c": [3, 4, 9]}


def test_a_timed_function_gives_the_seconds_that_it_took(monkeypatch):
    clock = iter([10.0, 12.5])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    done = []
    assert timed(lambda: done.append(1))() == 2.5
    assert done == [1]


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


def test_the_machine_is_described_by_its_processor_and_versions():
    described = machine()
    assert described["python"] == platform.python_version()
    assert int(described["cores"]) >= 1
    assert described["numpy"] == np.__version__
    assert {"processor", "memory", "tensorflow", "keras", "apache-beam"} <= described.keys()


@pytest.mark.skipif(not measure._STAT.is_file(), reason="not on this system")
def test_only_what_other_programs_do_counts_as_theirs(monkeypatch):
    # Processor seconds of all programs and of this one, over ten seconds on two cores.
    readings = iter([(10.0, 112.0, 57.0), (10.0, 116.0, 63.0), (10.0, 104.0, 55.0)])
    monkeypatch.setattr(measure, "_BEGUN", (0.0, 100.0, 50.0))
    monkeypatch.setattr(measure, "_processor_seconds", lambda: next(readings))
    monkeypatch.setattr(measure, "CORES", 2)
    found = [measure.others() for _ in range(3)]
    assert found == [f"{share} of the processors" for share in ("25%", "15%", "0%")]


@pytest.mark.skipif(not measure._STAT.is_file(), reason="not on this system")
def test_a_command_that_was_waited_for_is_no_other_program():
    before = measure._processor_seconds()
    subprocess.run([sys.executable, "-c", "import time\nwhile time.process_time() < 0.5: pass"])
    _, busy, own = (
        now - then for now, then in zip(measure._processor_seconds(), before, strict=True)
    )
    assert own == pytest.approx(0.5, abs=0.15)
    assert busy > own - 0.1  # Ticks of a hundredth of a second.
