"""The small pictures of the rows that a report shows."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pipeline.images.memory import room_for
from pipeline.job_settings import Job
from pipeline.records import MetricsRow
from pipeline.report.pictures import (
    MASK_BYTES,
    MASK_COLOUR,
    TRUTH_BYTES,
    TRUTH_COLOUR,
    Pictures,
    coloured,
    errors_of,
    fitted,
    small_mask,
    small_photo,
    small_truth,
)
from pipeline.report.read_back import (
    Stored,
    is_record,
    masks_in_shards,
    read_mask,
    read_stored,
)
from pipeline.storage.errors import in_words

# Photos that are read and drawn at the same time: it hides latency, and bounds memory.
AT_ONCE = 4

T = TypeVar("T")


def draw_all(rows: Sequence[MetricsRow], job: Job) -> list[Pictures]:
    """The pictures of rows, in their order.

    What cannot be read or drawn is left out, and said.

    Args:
        rows: About a hundred rows at most.
        job: What made them.
    """
    units, in_shards = defaultdict(list), masks_in_shards(rows, job)
    for row in rows:
        units[row.item.origin.path if is_record(row) else row.item.mask].append(row)

    def draw_unit(unit: list[MetricsRow]) -> dict[str, Pictures]:
        return {
            row.item.mask: draw(row, stored, job, in_shards)
            for row, stored in read_stored(unit, job)
        }

    with ThreadPoolExecutor(AT_ONCE) as pool:
        drawn = dict(pair for part in pool.map(draw_unit, units.values()) for pair in part.items())
    return [drawn[row.item.mask] for row in rows]


def draw(row: MetricsRow, stored: Stored, job: Job, in_shards: Mapping[str, bytes]) -> Pictures:
    """The pictures of a row.

    Args:
        row: The row.
        stored: Its photo and its truth.
        job: What made it.
        in_shards: As for ``read_mask``.
    """
    limit = job.max_pixels
    with room_for(row.size[0] * row.size[1]):
        photo, no_photo = _made("photo", stored.photo, lambda data: small_photo(data, limit))
        mask, no_mask = _made(
            "mask", None, lambda _: small_mask(read_mask(row, job, in_shards), limit)
        )
        truth, no_truth = None, ""
        if stored.truth is not None:
            make = functools.partial(small_truth, size=row.size, max_pixels=limit)
            truth, no_truth = _made("truth", stored.truth, make)
    return Pictures(
        fitted(row.size),
        photo,
        None if mask is None else coloured(mask, MASK_COLOUR, MASK_BYTES),
        None if truth is None else coloured(truth, TRUTH_COLOUR, TRUTH_BYTES),
        None if mask is None or truth is None else errors_of(mask, truth),
        tuple(filter(None, (no_photo, no_mask, no_truth))),
    )


def _made(
    what: str, data: bytes | Exception | None, make: Callable[[bytes], T]
) -> tuple[T | None, str]:
    """What is made of data, or None and why there is none, in words."""
    try:
        if isinstance(data, Exception):
            raise data
        return make(data), ""
    except Exception as error:
        return None, f"The {what} cannot be shown: {in_words(error)}."
