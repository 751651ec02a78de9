"""Feeds a DoFn as Beam does, without a pipeline."""

from apache_beam.pvalue import TaggedOutput
from apache_beam.utils.windowed_value import WindowedValue


def begun(stage):
    """The stage, set up and with a bundle begun."""
    stage.setup()
    stage.start_bundle()
    return stage


def given(stage, *elements):
    """What a stage yields for elements."""
    return [plain(result) for element in elements for result in stage.process(element)]


def finished(stage):
    """What a stage yields at the end of its bundle."""
    return [plain(result) for result in stage.finish_bundle()]


def plain(result):
    """A result without Beam's wrapping: a tagged one is (tag, value)."""
    if isinstance(result, WindowedValue):
        return plain(result.value)
    if isinstance(result, TaggedOutput):
        return result.tag, plain(result.value)
    return result
