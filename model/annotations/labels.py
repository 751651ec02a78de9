"""Labels of annotations: all of them are foreground, which is said where there are several."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from model.annotations.drawings import Remark


def taken_together(labels: Iterable[str]) -> Iterator[Remark]:
    """Remarks on the labels of a file, if there is more than one."""
    different = sorted(set(labels))
    if len(different) > 1:
        yield from (Remark("labels are taken together, as foreground", one) for one in different)
