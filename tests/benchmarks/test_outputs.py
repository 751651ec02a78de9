"""What outputs cost: the figures that follow from times."""

import pytest

from benchmarks.outputs import FLAGS, PLAIN, REPORT, summarize
from benchmarks.timed_commands import Usage
from pipeline.command.options import parse


def usage(wall, processor):
    return Usage(wall, processor, 500.0, "")


def test_figures_follow_from_the_times():
    found = {PLAIN: [usage(10, 15), usage(14, 25)], REPORT: [usage(12, 21), usage(13, 22)]}
    rows, (goal,) = summarize(found, 1000)
    assert rows[1]["seconds"] == 12.5
    assert rows[1]["processor seconds to the plain job's"] == pytest.approx(21.5 / 20)
    assert rows[1]["milliseconds a photo more"] == pytest.approx(1.5)
    assert goal.measured == pytest.approx(21.5 / 20)
    assert not goal.met
    assert summarize({PLAIN: found[PLAIN]}, 1000)[1] == []


@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS)
def test_the_command_knows_the_flags(flags):
    assert parse(flags)
