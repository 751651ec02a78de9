"""What shards of every format are read as: one record after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.failures import BadImage
from pipeline.job_settings import Job
from pipeline.records import Truth

# A longer image or truth is not read: a hostile one takes many times its bytes once it is parsed.
MAX_RECORD_BYTES = 64 << 20


@dataclass(frozen=True)
class Fields:
    """What is meant in a record, by the names that its format has for it.

    A name is that of a feature (TFRecord), the suffix of a member (WebDataset) or a column
    (Parquet). An empty one stands for the convention of the format.

    Attributes:
        image: The image.
        truth: The ground truth.
        name: The record's name.
    """

    image: str = ""
    truth: str = ""
    name: str = ""


BY_CONVENTION = Fields()


def fields_of(job: Job) -> Fields:
    """What a job's flags name."""
    return Fields(job.image_field, job.truth_field, job.name_field)


@dataclass(frozen=True)
class Features:
    """What a record holds.

    Attributes:
        key: Its own name; empty if it has none.
        image: The encoded image, or None.
        truth: The ground truth, or None.
        fault: Why there is no image, or None.
    """

    key: str
    image: bytes | None = None
    truth: Truth | None = None
    fault: BadImage | None = None


@dataclass(frozen=True)
class RawRecord:
    """One record of a shard, not yet parsed.

    Attributes:
        after: Where in the shard the next one begins.
        size: Bytes that it takes in the shard.
        parse: Makes ``Features`` of it, or raises ``BadImage`` if not even a name can be told.
        is_entry: Whether reading can begin here without a look at what comes before.
        lost: Why a part of the shard cannot be read, where it stands for one. Then there is
            nothing to parse.
        count: How many records it stands for.
    """

    after: int
    size: int = 0
    parse: Callable[[], Features] = lambda: Features("")
    is_entry: bool = True
    lost: BadImage | None = None
    count: int = 1


class NothingThere(BadImage):
    """A record that holds no image, rather than one that cannot be read."""


def too_large(what: str, size: int) -> BadImage:
    """What is said of an image or a truth that is not read because of its size in bytes."""
    return BadImage("too_large", f"{what} of {size} bytes; at most {MAX_RECORD_BYTES} are read")


def missing(what: str, flag: str, there: list[str]) -> NothingThere:
    """What is said of a record without its image.

    Args:
        what: What was looked for.
        flag: The flag that names another.
        there: What the record has.
    """
    found = ", ".join(sorted(there)[:20]) or "nothing"
    return NothingThere("missing_feature", f"no {what}; there is {found}; --{flag} names another")
