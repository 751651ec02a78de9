"""What the journal says of the shards of masks as a whole."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass

from apache_beam.io.filesystems import FileSystems

from pipeline.failures import OutputLost
from pipeline.output_layout import JOURNAL
from pipeline.storage.errors import persistently
from pipeline.storage.files import read_file

# Rows of the masks in shards, a file for each shard, and what makes them count.
PACKED = f"{JOURNAL}/packed"
PACKED_HEAD = f"{JOURNAL}/packed.json"


@dataclass(frozen=True)
class Packed:
    """The shards of masks that an output folder holds.

    Attributes:
        shards: How many there are.
        masks: How many masks are in them.
    """

    shards: int
    masks: int


def read_packed(output: str) -> Packed | None:
    """What shards of masks there are; None while there are none, or they are written.

    Rows in ``journal/packed`` count only if there is an answer.
    """
    path = FileSystems.join(output, PACKED_HEAD)
    if not persistently(functools.partial(FileSystems.exists, path), OutputLost, path):
        return None
    return Packed(**json.loads(read_file(path)))
