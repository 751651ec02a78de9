"""The first mask, and a part that is timed."""

import sys

import pytest

from benchmarks.first_mask import PARTS, first_mask
from benchmarks.timed_commands import run


@pytest.mark.slow
def test_the_first_mask_is_there_after_the_help_would_be_and_before_the_end():
    first, end = first_mask("keras")
    assert run([sys.executable, *PARTS["`--help`"]]).wall < first < end


def test_the_part_that_runs_one_batch_works():
    option, code = PARTS["import, load the network, one batch: Keras"]
    assert option == "-c"
    exec(code, {})
