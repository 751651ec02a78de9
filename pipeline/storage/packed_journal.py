"""The journal of masks in shards, and the order of steps by which shards replace parts.

A kill between any two steps loses nothing and doubles nothing:

1. Masks that lie in older shards, and are still wanted, are copied to parts. Their rows go to the
   journal, as those of new masks did.
2. ``open_packing`` makes the older shards count for nothing, and removes them.
3. Each new shard is written, and after it ``write_packed``, its rows.
4. ``commit`` makes them count, all at once. Their lines are later than those that name parts.
5. ``drop_parts`` removes parts, and the lines that name them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict

from pipeline.output_layout import MASKS
from pipeline.records import MetricsRow
from pipeline.storage.files import clear, write_file
from pipeline.storage.journal_files import COMPACTED, RUNNING, to_line
from pipeline.storage.mask_parts import PARTS
from pipeline.storage.packed_head import PACKED, PACKED_HEAD, Packed


def open_packing(output: str) -> None:
    """Removes older shards, once all masks that are wanted are in parts."""
    # The head first: without it, rows that name these shards do not count.
    clear(output, [PACKED_HEAD, PACKED, MASKS])


def write_packed(output: str, shard: str, rows: Sequence[MetricsRow]) -> None:
    """Writes the rows of a shard, which say that their masks are in it.

    Args:
        output: The output folder.
        shard: Path of the shard below it.
        rows: Its rows.
    """
    now = time.time_ns()
    name = shard.rpartition("/")[2].partition(".")[0]
    lines = "".join(to_line(row, now) + "\n" for row in rows)
    write_file(output, f"{PACKED}/{name}.jsonl", lines.encode())


def commit(output: str, packed: Packed) -> None:
    """Makes shards count, of which all are written."""
    write_file(output, PACKED_HEAD, json.dumps(asdict(packed)).encode() + b"\n")


def drop_parts(output: str, with_rows: bool) -> None:
    """Removes parts.

    Args:
        output: The output folder.
        with_rows: Whether ``journal/packed`` is newer than all other rows, which are removed, too.
    """
    # The rows first: a row whose part is gone would have its image done again.
    clear(output, [*((RUNNING, COMPACTED) if with_rows else ()), PARTS])
