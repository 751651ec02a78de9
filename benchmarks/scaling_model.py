"""What a job of any size takes, from measured costs of its parts: arithmetic without a clock.

Costs are processor seconds of one image in each stage, measured one by one by
`benchmarks.scaling`. A job takes their sum, and what starting takes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.job_settings import Job

# A file of the journal takes so many rows, or those of so many seconds, as in
# `pipeline.stages.journal`.
JOURNAL_ROWS, JOURNAL_SECONDS = 64, 5.0
# At the end it is put together in files of so many bytes, as in `pipeline.storage.journal_files`,
# and the rows of metrics are written in files of so many, as in `pipeline.stages.rows`.
JOURNAL_BYTES, METRICS_ROWS = 16 << 20, 50_000
# A file of failures, the summary, and the journal's head.
OTHER_FILES = 3
# Names in one answer of a bucket that is listed.
LISTED = 1000

# What is looked up by the megapixels of a photo, and what depends on none of its sizes.
BY_PIXELS = ("decode", "mask", "png", "description", "truth", "photo bytes", "mask bytes")
FIXED = (
    "rest of a file",
    "rest of a truth",
    "rest of a record",
    "start",
    "further process",
    "row bytes",
    "row bytes with truth",
)
NETWORK = "network"


@dataclass(frozen=True)
class Shape:
    """A job, by what its cost depends on.

    Attributes:
        images: Number of photos.
        megapixels: Size of each.
        truth: Whether each has ground truth.
        image_size: Side of the square that the network sees.
        flip: Whether the network sees each photo twice.
        shards: Whether the photos are records of shards instead of files.
        processes: Worker processes that are started, each with a network of its own.
    """

    images: int
    megapixels: float = 1.0
    truth: bool = False
    image_size: int = Job.image_size
    flip: bool = False
    shards: bool = False
    processes: int = 1


@dataclass(frozen=True)
class Costs:
    """Measured costs.

    Attributes:
        points: Name to what was measured at which size: megapixels for ``BY_PIXELS``, the side of
            the square for the network, 0 for ``FIXED``. Processor seconds of an image, or bytes.
    """

    points: Mapping[str, Mapping[float, float]]

    def at(self, name: str, size: float = 0) -> float:
        """The cost at a size: on the line between the nearest measured ones, or beyond them."""
        points = self.points[name]
        if name == NETWORK:
            return _on_line({side**2: cost for side, cost in points.items()}, size**2)
        return _on_line(points, size)

    def rows(self) -> list[dict]:
        """The rows of a table."""
        return [
            {"cost": name, "at": float(size), "measured": float(value)}
            for name, points in self.points.items()
            for size, value in points.items()
        ]


def costs_of(rows: Sequence[Mapping]) -> Costs:
    """Reads the rows of a table."""
    points: dict[str, dict[float, float]] = {}
    for row in rows:
        points.setdefault(row["cost"], {})[row["at"]] = row["measured"]
    return Costs(points)


def image_seconds(costs: Costs, shape: Shape) -> dict[str, float]:
    """Processor seconds of one image by stage, without what starting takes."""
    network = costs.at(NETWORK, shape.image_size) * (2 if shape.flip else 1)
    by_stage = {name: costs.at(name, shape.megapixels) for name in BY_PIXELS[:4]}
    by_stage[NETWORK] = network
    if shape.truth:
        rest = costs.at("rest of a truth")
        by_stage["truth"] = costs.at("truth", shape.megapixels) + rest
    by_stage["rest"] = costs.at("rest of a record" if shape.shards else "rest of a file")
    return by_stage


def job_seconds(costs: Costs, shape: Shape) -> float:
    """Processor seconds of a whole job."""
    starts = costs.at("start") + (shape.processes - 1) * costs.at("further process")
    return starts + shape.images * sum(image_seconds(costs, shape).values())


@dataclass(frozen=True)
class Storage:
    """What a job asks of a bucket.

    Attributes:
        writes: Requests that write or list (Cloud Storage's class A).
        reads: Requests that read (class B).
        files: Files that are left when the job has ended.
        read_bytes: Bytes that are read.
        written_bytes: Bytes that are written and stay.
    """

    writes: int
    reads: int
    files: int
    read_bytes: float
    written_bytes: float


def storage(costs: Costs, shape: Shape, records: int, retried: float, rate: float) -> Storage:
    """Counts requests, files and bytes.

    Args:
        costs: Measured costs; of these, the bytes.
        shape: The job.
        records: Photos in a shard; unused for files.
        retried: Share of the requests that are made again.
        rate: Images a second of one worker process.
    """
    if shape.shards:
        sources = math.ceil(shape.images / records)
    else:
        sources = shape.images * (2 if shape.truth else 1)
    listings = math.ceil(sources / LISTED)
    rows = min(JOURNAL_ROWS, max(1.0, rate * JOURNAL_SECONDS))
    running = math.ceil(shape.images / rows)
    row = costs.at("row bytes with truth" if shape.truth else "row bytes")
    photo, mask = (costs.at(name, shape.megapixels) for name in ("photo bytes", "mask bytes"))
    # A row counts as one of the journal and one of metrics, so there are fewer files than this.
    compacted = math.ceil(shape.images * row / JOURNAL_BYTES)
    left = shape.images + compacted + math.ceil(shape.images / METRICS_ROWS) + OTHER_FILES
    # The files of the running job are listed to be put together, and again to be deleted.
    listings += 2 * math.ceil(running / LISTED)
    return Storage(
        writes=math.ceil((left + running + listings) * (1 + retried)),
        # The journal's head is looked for before each of its files, and each is read once.
        reads=math.ceil((sources + 2 * running) * (1 + retried)),
        files=left,
        read_bytes=shape.images * photo,
        written_bytes=shape.images * (mask + row),
    )


def _on_line(points: Mapping[float, float], x: float) -> float:
    if x in points:
        return points[x]
    known = sorted(points)
    if len(known) == 1:
        raise ValueError("measured at one size only, which says nothing of others")
    above = next((place for place, size in enumerate(known) if size > x), len(known) - 1)
    right = max(above, 1)
    x0, x1 = known[right - 1], known[right]
    y0, y1 = points[x0], points[x1]
    # A line through two small costs may pass zero before the smallest size.
    return max(0.0, y0 + (y1 - y0) * (x - x0) / (x1 - x0))
