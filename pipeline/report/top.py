"""The first of many elements by some order, in memory that does not grow with their number."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Top:
    """Elements that come first.

    Which ones they are depends on the elements alone, not on how they came, as long as no two have
    the same order.

    Attributes:
        most: How many are kept.
        kept: (order, element) of the first so far, and of some more.
        last: The order of the last of the first, once there are as many; later ones are none.
    """

    most: int
    kept: list[tuple[Any, Any]] = field(default_factory=list)
    last: Any = None

    def add(self, order: Any, element: Any) -> None:
        """Adds an element.

        Args:
            order: What it is sorted by, smallest first.
            element: The element.
        """
        if self.last is not None and order > self.last:
            return
        self.kept.append((order, element))
        # Sorted now and then, and not at each.
        if len(self.kept) >= 2 * self.most + 16:
            self._cut()

    def merge(self, others: Iterable[Top]) -> Top:
        """Adds what others have kept."""
        for other in others:
            for order, element in other.kept:
                self.add(order, element)
        return self

    def elements(self) -> list:
        """The first elements, in their order."""
        self._cut()
        return [element for _, element in self.kept]

    def _cut(self) -> None:
        self.kept = sorted(self.kept, key=lambda one: one[0])[: self.most]
        if len(self.kept) == self.most and self.kept:
            self.last = self.kept[-1][0]
