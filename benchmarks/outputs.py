"""What each kind of output costs: jobs on the same photos, with one flag more, in turns."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.photos import make_photos
from benchmarks.results_files import Goal, Measured, parser, publish
from benchmarks.timed_commands import Usage, annotate
from benchmarks.turns import alternate

MODULE = "benchmarks.outputs"
# The job that others are compared with writes PNG masks and JSON Lines, and no report.
PLAIN = "masks and rows alone"
REPORT = "the report, as by default"
FLAGS = {
    PLAIN: ["--no_report"],
    REPORT: [],
    "--mask_format tfrecord": ["--no_report", "--mask_format", "tfrecord"],
    "--mask_format webdataset": ["--no_report", "--mask_format", "webdataset"],
    "--mask_format parquet": ["--no_report", "--mask_format", "parquet"],
    "--metrics_format parquet": ["--no_report", "--metrics_format", "parquet"],
    "--annotations coco": ["--no_report", "--annotations", "coco"],
    "--overlays": ["--no_report", "--overlays"],
    "--cutouts": ["--no_report", "--cutouts"],
}


def measure(chosen: Sequence[str], count: int, megapixels: float, rounds: int) -> dict:
    """Runs a job for each kind of output, in turns.

    Args:
        chosen: Keys of ``FLAGS``.
        count: Number of photos.
        megapixels: Size of each.
        rounds: Number of turns.

    Returns:
        A list of ``Usage`` by kind of output.
    """
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder, "photos")
        make_photos(photos, count, megapixels)

        def job(kind: str) -> Usage:
            with tempfile.TemporaryDirectory() as output:
                return annotate(photos, Path(output), FLAGS[kind])

        return alternate({kind: partial(job, kind) for kind in chosen}, rounds)


def summarize(found: Mapping[str, Sequence[Usage]], count: int) -> tuple[list[dict], list[Goal]]:
    """Makes rows of the table, and goals, from the result of ``measure``."""
    processor = {kind: median(one.processor for one in found[kind]) for kind in found}
    wall = {kind: median(one.wall for one in found[kind]) for kind in found}
    rows = [
        {
            "output": kind,
            "photos": count,
            "seconds": wall[kind],
            "processor seconds": processor[kind],
            "processor seconds to the plain job's": processor[kind] / processor[PLAIN],
            "milliseconds a photo more": 1000 * (processor[kind] - processor[PLAIN]) / count,
        }
        for kind in found
    ]
    share = processor.get(REPORT, 0) / processor[PLAIN]
    goals = [Goal("processor seconds with the report, to those without", share, "<=", 1.03)]
    return rows, goals if REPORT in found else []


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; see `--help`."""
    argv = sys.argv[1:] if argv is None else argv
    flags = parser(MODULE, __doc__, rounds=2)
    flags.add_argument("--photos", type=int, default=300, help="number of photos")
    flags.add_argument("--megapixels", type=float, default=1.0, help="size of each photo")
    flags.add_argument("--outputs", nargs="+", choices=FLAGS, default=[*FLAGS], help="kinds")
    arguments = flags.parse_args(argv)
    kinds = dict.fromkeys([PLAIN, *arguments.outputs])
    found = measure(list(kinds), arguments.photos, arguments.megapixels, arguments.rounds)
    rows, goals = summarize(found, arguments.photos)
    notes = [
        f"basnet_mini, photos of {arguments.megapixels:g} megapixels. Medians of whole commands, "
        f"start-up included; turns of each: {arguments.rounds}."
    ]
    publish(Measured("What outputs cost", rows, goals, notes), MODULE, argv, arguments.output)


if __name__ == "__main__":
    main()
