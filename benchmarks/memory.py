"""Peak memory and time of `run_pipeline.py` by the number of photos.

The photos are small and the network sees them at 64 pixels, so that what the pipeline keeps for
each photo is not hidden by pixels.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.photos import link_first
from benchmarks.results_files import Goal, Measured, parser, publish
from benchmarks.timed_commands import ROOT, Usage, annotate
from benchmarks.turns import alternate

MODULE = "benchmarks.memory"


def measure(
    counts: Sequence[int], megapixels: float, image_size: int, rounds: int
) -> dict[int, list[Usage]]:
    """Runs a job on each number of photos, in turns.

    Args:
        counts: Numbers of photos, ascending.
        megapixels: Size of each photo.
        image_size: As `--image_size` of `run_pipeline.py`.
        rounds: Number of turns.

    Returns:
        What the jobs took, by the number of photos.
    """
    with tempfile.TemporaryDirectory() as folder:
        many = counts[-1]
        # In another process: the memory of this one counts as that of every job it starts.
        command = [sys.executable, "-m", "benchmarks.photos", f"{folder}/{many}"]
        command += ["--count", str(many), "--megapixels", str(megapixels)]
        subprocess.run(command, check=True, cwd=ROOT)
        paths = sorted(Path(folder, str(many)).iterdir())
        for count in counts[:-1]:
            link_first(paths, count, Path(folder, str(count)))

        def job(count: int) -> Usage:
            with tempfile.TemporaryDirectory() as output:
                size = ["--image_size", image_size]
                return annotate(Path(folder, str(count)), Path(output), size)

        return alternate({count: partial(job, count) for count in counts}, rounds)


def summarize(found: Mapping[int, Sequence[Usage]]) -> tuple[list[dict], list[Goal]]:
    """Makes rows of the table, and goals, from the result of ``measure``."""
    peak = {count: median(usage.peak for usage in usages) for count, usages in found.items()}
    rows = []
    for count, usages in found.items():
        wall = median(usage.wall for usage in usages)
        row = {"photos": count, "peak memory, MiB": peak[count], "seconds": wall}
        row["processor seconds"] = median(usage.processor for usage in usages)
        row["photos/s"] = count / wall
        rows.append(row)
    if not {500, 10000} <= found.keys():
        return rows, []
    what = "peak memory with 10,000 photos relative to 500"
    return rows, [Goal(what, peak[10000] / peak[500], "<=", 1.1)]


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; see `--help`."""
    argv = sys.argv[1:] if argv is None else argv
    flags = parser(MODULE, __doc__, rounds=1)
    add = flags.add_argument
    add("--counts", nargs="+", type=int, default=[100, 500, 1000, 10000], help="numbers of photos")
    add("--megapixels", type=float, default=0.03, help="size of each")
    add("--image_size", type=int, default=64, help="as --image_size of run_pipeline.py")
    arguments = flags.parse_args(argv)
    counts = sorted(arguments.counts)
    found = measure(counts, arguments.megapixels, arguments.image_size, arguments.rounds)
    rows, goals = summarize(found)
    notes = [
        f"Medians of whole commands; turns of each: {arguments.rounds}. basnet_mini at "
        f"{arguments.image_size}², photos of {arguments.megapixels:g} megapixels. Peak memory is "
        "the largest resident set of the process."
    ]
    title = "Memory by the number of photos"
    publish(Measured(title, rows, goals, notes), MODULE, argv, arguments.output)


if __name__ == "__main__":
    main()
