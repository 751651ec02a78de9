"""What every stage returns: results and failures, each a PCollection."""

from __future__ import annotations

from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.window import GlobalWindows

from pipeline.failures import Attempt

FAILURES = "failures"


class Outcome(NamedTuple):
    """The PCollections that a stage returns.

    Attributes:
        results: What the next stage takes.
        failures: ``Failure`` of the images that it will not see.
    """

    results: beam.PCollection
    failures: beam.PCollection


class InputOutcome(NamedTuple):
    """An ``Outcome`` of a stage that sees the whole input, and notes on the input.

    Attributes:
        results: What the next stage takes.
        failures: ``Failure`` of the images that it will not see.
        notes: ``Note`` of what is neither.
    """

    results: beam.PCollection
    failures: beam.PCollection
    notes: beam.PCollection


def split_attempts(
    elements: beam.PCollection, label: str, function: beam.DoFn, *side_inputs
) -> Outcome:
    """Runs a DoFn that yields what ``emit`` returns, and splits its results from its failures."""
    attempts = beam.ParDo(function, *side_inputs).with_outputs(FAILURES, main="results")
    split = elements | label >> attempts
    return Outcome(split.results, split.failures)


def emit(attempt: Attempt) -> Any:
    """What a DoFn yields for an attempt: its result, or its failure under the failures' tag."""
    if attempt.failure is None:
        return attempt.result
    return TaggedOutput(FAILURES, attempt.failure)


def in_window(element: Any) -> Any:
    """What ``finish_bundle`` has to yield for an element or a tagged one."""
    if isinstance(element, TaggedOutput):
        return TaggedOutput(element.tag, GlobalWindows.windowed_value(element.value))
    return GlobalWindows.windowed_value(element)
