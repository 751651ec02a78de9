"""The first of many, however they come."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.report.top import Top


@given(st.lists(st.integers(), unique=True), st.data())
def test_any_grouping_gives_the_first_of_the_sorted_list(numbers, data):
    most = data.draw(st.integers(0, 5))
    shuffled = data.draw(st.permutations(numbers))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(numbers)), max_size=4)))
    parts = []
    for start, end in zip([0, *cuts], [*cuts, len(numbers)], strict=True):
        parts.append(Top(most))
        for number in shuffled[start:end]:
            parts[-1].add(number, str(number))
    assert Top(most).merge(parts).elements() == [str(number) for number in sorted(numbers)[:most]]


def test_what_is_kept_does_not_grow():
    top = Top(10)
    for number in range(10_000, 0, -1):
        top.add(number, number)
        assert len(top.kept) < 40
    assert top.elements() == [*range(1, 11)]
