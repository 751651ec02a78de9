"""Peak memory and time of `run_pipeline.py` by the number of photos.

The photos are small and the network sees them at 64 pixels, so that what the pipeline keeps for
each photo is not hidden by pixels. They are files of their own, or all records of one shard.
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
from benchmarks.timed_commands import ROOT, SCRIPT, Usage, check_all_have_masks, run
from benchmarks.turns import alternate

MODULE = "benchmarks.memory"


def measure(
    counts: Sequence[int], megapixels: float, flags: Sequence[object], rounds: int, shard: str = ""
) -> dict[int, list[Usage]]:
    """Runs a job on each number of photos, in turns.

    Args:
        counts: Numbers of photos, ascending.
        megapixels: Size of each photo.
        flags: Further flags of `run_pipeline.py`.
        rounds: Number of turns.
        shard: Suffix of the one shard that the photos are put into; empty for files.

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
        if shard:
            for count in counts:
                command = [sys.executable, "-m", "benchmarks.photo_shards", f"{folder}/{count}"]
                subprocess.run([*command, f"{folder}/{count}.{shard}"], check=True, cwd=ROOT)

        def job(count: int) -> Usage:
            with tempfile.TemporaryDirectory() as output:
                photos = Path(folder, f"{count}.{shard}" if shard else str(count))
                command = [sys.executable, SCRIPT, "--input", photos, "--output", output]
                usage = run([*command, *map(str, flags)])
                check_all_have_masks(usage, count)
                return usage

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
    few, many = min(found), max(found)
    what = f"peak memory with {many:,} photos relative to {few:,}"
    is_goal = few >= 500 and many >= 20 * few
    return rows, [Goal(what, peak[many] / peak[few], "<=", 1.1)] if is_goal else []


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; see `--help`."""
    argv = sys.argv[1:] if argv is None else argv
    flags = parser(MODULE, __doc__, rounds=1)
    add = flags.add_argument
    add("--counts", nargs="+", type=int, default=[100, 500, 1000, 10000], help="numbers of photos")
    add("--megapixels", type=float, default=0.03, help="size of each")
    add("--image_size", type=int, default=64, help="as --image_size of run_pipeline.py")
    add("--model", default="basnet_mini", help="as --model of run_pipeline.py")
    add("--shard", choices=("tar", "parquet"), help="put the photos into one shard")
    arguments = flags.parse_args(argv)
    counts = sorted(arguments.counts)
    of_job = ["--model", arguments.model, "--image_size", arguments.image_size]
    found = measure(counts, arguments.megapixels, of_job, arguments.rounds, arguments.shard or "")
    rows, goals = summarize(found)
    notes = [
        f"Medians of whole commands; turns of each: {arguments.rounds}. {arguments.model} at "
        f"{arguments.image_size}², photos of {arguments.megapixels:g} megapixels. Peak memory is "
        "the largest resident set of the process."
    ]
    title = "Memory by the number of photos"
    if arguments.shard:
        title += f" in one .{arguments.shard}"
    publish(Measured(title, rows, goals, notes), MODULE, argv, arguments.output)


if __name__ == "__main__":
    main()
