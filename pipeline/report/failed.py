"""Images that failed, by reason, with a few examples."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from pipeline.failures import Failure
from pipeline.report.top import Top

EXAMPLES = 5
# Reasons that a page shows, those of most images first.
REASONS = 40


@dataclass
class Failed:
    """Counts and examples of failures.

    Attributes:
        counts: By reason, how many.
        examples: By reason, the first by their keys.
    """

    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, Top] = field(default_factory=dict)

    def add(self, failure: Failure) -> None:
        """Adds a failure."""
        reason = failure.reason
        self.counts[reason] = self.counts.get(reason, 0) + 1
        top = self.examples.setdefault(reason, Top(EXAMPLES))
        top.add((failure.key, failure.stage, failure.message), failure)

    def merge(self, others: Iterable[Failed]) -> Failed:
        """Adds the failures of others."""
        for other in others:
            for reason, count in other.counts.items():
                self.counts[reason] = self.counts.get(reason, 0) + count
                self.examples.setdefault(reason, Top(EXAMPLES)).merge([other.examples[reason]])
        return self

    def by_reason(self) -> list[tuple[str, int, list[Failure]]]:
        """Reason, count and examples, most first."""
        reasons = sorted(self.counts, key=lambda reason: (-self.counts[reason], reason))
        return [(one, self.counts[one], self.examples[one].elements()) for one in reasons]
