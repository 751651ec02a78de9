"""What a DoFn yields for an attempt, in a bundle and at its end."""

from apache_beam.transforms.window import GlobalWindows

from pipeline.failures import Attempt, Failure
from pipeline.stages.outcomes import FAILURES, emit, in_window

FAILURE = Failure("a.jpg", "read", "empty", "no bytes")


def test_a_result_is_yielded_as_it_is_even_if_it_is_nothing():
    assert emit(Attempt(7)) == 7
    assert emit(Attempt(None)) is None


def test_a_failure_is_yielded_under_its_tag():
    tagged = emit(Attempt(failure=FAILURE))
    assert (tagged.tag, tagged.value) == (FAILURES, FAILURE)


def test_at_the_end_of_a_bundle_both_have_a_window():
    assert in_window(emit(Attempt(7))) == GlobalWindows.windowed_value(7)
    tagged = in_window(emit(Attempt(failure=FAILURE)))
    assert (tagged.tag, tagged.value) == (FAILURES, GlobalWindows.windowed_value(FAILURE))
