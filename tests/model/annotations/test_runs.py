"""Run lengths against a plain loop over pixels."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.annotations.runs import fill_runs, run_lengths


def loop(pixels):
    """Lengths of runs of a row of pixels, background first."""
    groups = [(value, len(list(group))) for value, group in itertools.groupby(pixels)]
    return [length for _, length in ([] if not pixels[0] else [(False, 0)]) + groups]


@given(
    st.tuples(st.integers(1, 6), st.integers(1, 6)),
    st.tuples(*[st.integers(0, 2)] * 4),
    st.integers(0, 2**36 - 1),
    st.booleans(),
)
def test_the_runs_of_a_part_are_those_of_the_whole_image(shape, margins, bits, by_columns):
    part = np.array([bits >> n & 1 for n in range(shape[0] * shape[1])], bool).reshape(shape)
    left, top, right, bottom = margins
    image = np.pad(part, ((top, bottom), (left, right)))
    size = image.shape[::-1]
    counts = run_lengths(part, (left, top), size, by_columns=by_columns)
    assert counts.tolist() == loop((image.T if by_columns else image).ravel().tolist())
    np.testing.assert_array_equal(fill_runs(counts, size, by_columns=by_columns), image)


@pytest.mark.parametrize("counts", [[3, 2, 2], [-1, 3], [2**62] * 4, [0.5], [[1]], ["a"]])
def test_runs_that_do_not_fit_are_refused(counts):
    with pytest.raises(ValueError, match="run lengths"):
        fill_runs(np.array(counts), (3, 2))


def test_background_may_be_left_out_at_the_end():
    assert fill_runs(np.array([1, 2]), (3, 2)).tolist() == [[False, True, True], [False] * 3]
