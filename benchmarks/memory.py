"""Memory and seconds of `run_pipeline.py` by the number of photos.

The photos are small and the network sees them at 64 pixels, so that what is measured is what the
pipeline keeps for each photo. A first short job warms the disk's cache up.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.jobs import ROOT, Usage, annotate
from benchmarks.measure import Goal, Measured, alternate, parser, publish

MODULE = "benchmarks.memory"


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; see `--help`."""
    argv = sys.argv[1:] if argv is None else argv
    flags = parser(MODULE, __doc__)
    flags.set_defaults(rounds=1)
    add = flags.add_argument
    add("--counts", nargs="+", type=int, default=[100, 500, 1000, 10000], help="numbers of photos")
    add("--megapixels", type=float, default=0.03, help="size of each")
    add("--image_size", type=int, default=64, help="as --image_size of run_pipeline.py")
    arguments = flags.parse_args(argv)
    counts = sorted(arguments.counts)
    with tempfile.TemporaryDirectory() as folder:
        # In a process of its own: memory of this one would count as a job's, as it is forked.
        command = [sys.executable, "-m", "benchmarks.photos", f"{folder}/{counts[-1]}"]
        command += ["--count", str(counts[-1]), "--megapixels", str(arguments.megapixels)]
        subprocess.run(command, check=True, cwd=ROOT)
        paths = sorted(Path(folder, str(counts[-1])).iterdir())
        for count in counts[:-1]:
            Path(folder, str(count)).mkdir()
            for path in paths[:count]:
                Path(folder, str(count), path.name).hardlink_to(path)

        def job(count: int) -> Usage:
            with tempfile.TemporaryDirectory() as output:
                size = ["--image_size", arguments.image_size]
                return annotate(Path(folder, str(count)), Path(output), size)

        job(counts[0])
        found = alternate({count: partial(job, count) for count in counts}, arguments.rounds)
    peak = {count: median(usage.peak for usage in found[count]) for count in counts}
    wall = {count: median(usage.wall for usage in found[count]) for count in counts}
    rows = [
        {
            "photos": count,
            "peak memory, MiB": peak[count],
            "seconds": wall[count],
            "processor seconds": median(usage.processor for usage in found[count]),
            "photos/s": count / wall[count],
        }
        for count in counts
    ]
    goals = []
    if {500, 10000} <= set(counts):
        what = "peak memory at 10,000 photos to that at 500"
        goals.append(Goal(what, peak[10000] / peak[500], "<=", 1.1))
    notes = [
        f"Medians of {arguments.rounds} turns of whole commands; basnet_mini at "
        f"{arguments.image_size}², photos of {arguments.megapixels:g} megapixels. The memory is "
        "the largest resident set of the process."
    ]
    title = "Memory by the number of photos"
    publish(Measured(title, rows, goals, notes), MODULE, argv, arguments.output)


if __name__ == "__main__":
    main()
