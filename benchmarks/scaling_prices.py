"""Hours, requests, files, bytes and money of jobs of any size, from measured costs.

Prices and workers are yours to say. A worker is a machine with all that it is billed for. Nothing
is assumed of prices, so none has a default.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.results_files import read, table
from benchmarks.scaling_model import NETWORK, Costs, Shape, costs_of, image_seconds, storage
from pipeline.job_settings import Job

MODULE = "benchmarks.scaling_prices"
# About so many writes a second a bucket takes before it has grown.
WRITES_AT_FIRST = 1000
_TERABYTE, _GIGABYTE = 1e12, 1e9


@dataclass(frozen=True)
class Workers:
    """The machines of a job.

    Attributes:
        number: How many.
        vcpus: Virtual processors of each.
        core_speed: Work of one virtual processor, as a share of a core's where costs were measured.
        busy: Share of the time that the processors work.
        gpu_rate: Images a second that the GPU of a worker takes; None without GPUs.
    """

    number: int
    vcpus: int
    core_speed: float
    busy: float
    gpu_rate: float | None = None

    def seconds(self, by_stage: dict[str, float]) -> float:
        """Seconds that one worker takes for one image whose stages cost so much."""
        power = self.vcpus * self.core_speed * self.busy
        if self.gpu_rate is None:
            return sum(by_stage.values()) / power
        around = sum(cost for name, cost in by_stage.items() if name != NETWORK)
        # They work at the same time, so the slower one counts.
        return max(around / power, 1 / self.gpu_rate)


@dataclass(frozen=True)
class Prices:
    """What is paid, in any currency.

    Attributes:
        worker_hour: For an hour of a worker.
        thousand_writes: For a thousand requests that write or list.
        thousand_reads: For a thousand requests that read.
        gigabyte_month: For a gigabyte that is stored for a month.
    """

    worker_hour: float
    thousand_writes: float
    thousand_reads: float
    gigabyte_month: float


def projection(
    costs: Costs,
    shape: Shape,
    workers: Workers,
    prices: Prices,
    records: int,
    start_minutes: float,
    retried: float,
) -> dict:
    """What a job takes, as a row of the table.

    Args:
        costs: Measured costs.
        shape: The job.
        workers: Its machines.
        prices: What is paid.
        records: Photos in a shard.
        start_minutes: Of each worker, from its first paid second to its first image.
        retried: Share of the requests that are made again.
    """
    each = workers.seconds(image_seconds(costs, shape))
    hours = shape.images * each / workers.number / 3600 + start_minutes / 60
    # With a GPU one process a machine, else one on each virtual processor.
    processes = workers.vcpus if workers.gpu_rate is None else 1
    asked = storage(costs, shape, records, retried, rate=1 / (each * processes))
    requests = asked.writes * prices.thousand_writes + asked.reads * prices.thousand_reads
    paid_workers = hours * workers.number * prices.worker_hour
    return {
        "images": f"{shape.images:.3g}",
        "hours": hours,
        "worker hours": hours * workers.number,
        "images/s": shape.images / (hours * 3600),
        "writes/s": asked.writes / (hours * 3600),
        "writes": f"{asked.writes:.2e}",
        "reads": f"{asked.reads:.2e}",
        "files": f"{asked.files:.2e}",
        "TB read": asked.read_bytes / _TERABYTE,
        "TB written": asked.written_bytes / _TERABYTE,
        "for workers": paid_workers,
        "for requests": requests / 1000,
        "in all": paid_workers + requests / 1000,
        "a month of storage": asked.written_bytes / _GIGABYTE * prices.gigabyte_month,
    }


def warnings(row: dict) -> list[str]:
    """What a projection leaves out because it would not come true as it is."""
    if row["writes/s"] <= WRITES_AT_FIRST:
        return []
    doublings = math.ceil(math.log2(row["writes/s"] / WRITES_AT_FIRST))
    return [
        f"{row['images']} images: {row['writes/s']:,.0f} writes a second are more than the "
        f"{WRITES_AT_FIRST:,} that a new bucket takes; begin with fewer workers, as doubling "
        f"every 20 minutes gets there after {20 * doublings} minutes"
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m {MODULE}",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    results = Path(__file__).parent / "results"
    add("--costs", type=Path, default=results / "scaling_costs.json", help="of benchmarks.scaling")
    add("--images", nargs="+", type=float, default=[1e6, 1e8, 1e10], help="numbers of images")
    add("--megapixels", type=float, default=1.0, help="size of each")
    add("--truth", action="store_true", help="each has ground truth")
    add("--shards", action="store_true", help="photos are records of shards")
    add("--records", type=int, default=1000, help="photos in a shard")
    add("--image_size", type=int, default=Job.image_size, help="side of the network's square")
    add("--flip", action="store_true", help="the network sees each photo twice")
    add("--workers", type=int, default=100, help="number of machines")
    add("--vcpus", type=int, default=4, help="virtual processors of each")
    add("--core_speed", type=float, default=0.5, help="of one, against a core that was measured")
    add("--busy", type=float, default=0.9, help="share of the time that they work")
    add("--gpu_images_per_second", type=float, help="of a worker's GPU, as a pilot measured it")
    add("--start_minutes", type=float, default=5.0, help="of a worker, before its first image")
    add("--retried", type=float, default=0.01, help="share of requests that are made again")
    add("--worker_hour", type=float, required=True, help="price of an hour of a worker")
    add("--thousand_writes", type=float, required=True, help="price of class A requests")
    add("--thousand_reads", type=float, required=True, help="price of class B requests")
    add("--gigabyte_month", type=float, required=True, help="price of storage")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; see `--help`."""
    given = _parser().parse_args(sys.argv[1:] if argv is None else argv)
    costs = costs_of(read(given.costs).rows)
    names = ("megapixels", "truth", "image_size", "flip", "shards")
    shape = Shape(0, **{name: getattr(given, name) for name in names})
    rate = given.gpu_images_per_second
    workers = Workers(given.workers, given.vcpus, given.core_speed, given.busy, rate)
    names = ("worker_hour", "thousand_writes", "thousand_reads", "gigabyte_month")
    prices = Prices(**{name: getattr(given, name) for name in names})
    rest = (given.records, given.start_minutes, given.retried)
    shapes = [replace(shape, images=round(images)) for images in given.images]
    rows = [projection(costs, each, workers, prices, *rest) for each in shapes]
    print(table(rows))
    for row in rows:
        for warning in warnings(row):
            print(f"\n{warning}")


if __name__ == "__main__":
    main()
