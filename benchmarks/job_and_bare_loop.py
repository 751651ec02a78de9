"""The pipeline end to end against a bare loop of the same network over arrays in memory.

`run_pipeline.py` runs on a few and on many photos: start-up, decoding, writing and metrics
included. The bare loop runs the same `Segmenter` as often as the long job. All take turns. The
difference between the two jobs shows what a photo takes once the command has started.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from benchmarks.machine import CORES
from benchmarks.peer_networks import paper_network
from benchmarks.photos import link_first, make_photos
from benchmarks.results_files import Goal, Measured, parser, publish
from benchmarks.timed_commands import Usage, annotate, reported_seconds
from benchmarks.turns import alternate, timed
from model.inference.load import load_model
from model.inference.segmenter import Segmenter
from pipeline.job_settings import Job

MODULE = "benchmarks.job_and_bare_loop"
FULL = "basnet_paper"
# Side of the paper's input; other networks get the command's default.
FULL_SIDE = 256


@dataclass(frozen=True)
class Case:
    """A network, the photos that it gets, and how it runs.

    Attributes:
        name: A preset.
        model: What `--model` takes.
        megapixels: Size of the photos.
        few: Number of photos of the short job.
        many: Number of photos of the long job.
        precision: What `--precision` takes.
        photos: Folder of JPEGs to make the photos from, or None for the sample's.
    """

    name: str
    model: str
    megapixels: float
    few: int
    many: int
    precision: str
    photos: Path | None = None

    @property
    def side(self) -> int:
        """Side of the network's input, in pixels."""
        return FULL_SIDE if self.name == FULL else Job.image_size


def run_all(case: Case, rounds: int) -> dict[str, list]:
    """Runs both jobs and the bare loop, in turns.

    Returns:
        A list of `Usage` for `"few"` and for `"many"`, and of seconds for `"loop"`.
    """
    flags = ["--model", case.model, "--image_size", case.side, "--precision", case.precision]
    flags += ["--engine", "keras"]  # As the bare loop.
    network = Segmenter(load_model(case.model), case.side, Job.batch_size, "none", case.precision)
    with tempfile.TemporaryDirectory() as folder:
        paths = make_photos(Path(folder, "many"), case.many, case.megapixels, case.photos)
        link_first(paths, case.few, Path(folder, "few"))
        size = (case.side, case.side)
        images = np.stack(
            [np.asarray(Image.open(path).resize(size)) for path in paths[: Job.batch_size]]
        )

        def job(which: str) -> Usage:
            with tempfile.TemporaryDirectory() as output:
                return annotate(Path(folder, which), Path(output), flags)

        def bare_loop() -> None:
            for start in range(0, case.many, Job.batch_size):
                network(images[: case.many - start])

        network(images)
        turns = {which: partial(job, which) for which in ("few", "many")}
        return alternate({**turns, "loop": timed(bare_loop)}, rounds)


def summarize(case: Case, found: Mapping[str, list]) -> tuple[dict, list[Goal]]:
    """Makes a row of the table, and goals, from the result of ``run_all``."""
    wall = {which: median(usage.wall for usage in found[which]) for which in ("few", "many")}
    idle = median(usage.idle for usage in found["many"])
    loop = median(found["loop"])
    between = (case.many - case.few) / (wall["many"] - wall["few"])
    apart = case.many / loop / between
    row = {
        "network": f"{case.name}, {case.side}², {case.precision}",
        "megapixels": case.megapixels,
        "photos": case.many,
        "seconds": wall["many"],
        "seconds, as printed": median(map(reported_seconds, found["many"])),
        "processor seconds": median(usage.processor for usage in found["many"]),
        "wall ÷ (processor ÷ cores)": idle,
        "photos/s": case.many / wall["many"],
        "photos/s, start-up apart": between,
        "bare loop, photos/s": case.many / loop,
        "seconds to the bare loop's": wall["many"] / loop,
        "start-up apart, to the bare loop's": apart,
    }
    what = f"pipeline, {case.name}, {case.megapixels:g} megapixels, {case.precision}"
    if case.name == FULL:
        speed = f"{what}: photos/s, start-up apart, to the bare loop's"
        return row, [Goal(speed, 1 / apart, ">=", 0.97)]
    if case.megapixels != 1:
        return row, []
    return row, [
        Goal(f"{what}: wall ÷ (processor seconds ÷ {CORES})", idle, "<=", 1.15),
        Goal(f"{what}: all its seconds to the bare loop's", wall["many"] / loop, "<=", 1.6),
        Goal(f"{what}: the same, start-up apart", apart, "<=", 1.6),
    ]


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; see `--help`."""
    argv = sys.argv[1:] if argv is None else argv
    flags = parser(MODULE, __doc__, rounds=3)
    add = flags.add_argument
    add("--models", nargs="+", default=["basnet_mini", FULL], help=f"presets; {FULL}'s are random")
    add("--megapixels", nargs="+", type=float, default=[0.1, 1.0, 12.0], help="sizes of photos")
    add("--few", type=int, default=100, help="number of photos of the short job")
    add("--many", type=int, default=600, help="number of photos of the long job")
    add("--few_full", type=int, default=8, help=f"number of photos of the short job of {FULL}")
    add("--many_full", type=int, default=48, help=f"number of photos of the long job of {FULL}")
    add("--precision", default="float32", help="as --precision of run_pipeline.py")
    add("--photos", type=Path, help="folder of JPEGs to make the photos from; else the sample's")
    arguments = flags.parse_args(argv)
    rows, goals = [], []
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.models:
            model, counts = name, (arguments.few, arguments.many)
            if name == FULL:
                model, counts = f"{folder}/{name}.keras", (arguments.few_full, arguments.many_full)
                paper_network().save(model)
            for megapixels in arguments.megapixels:
                precision, photos = arguments.precision, arguments.photos
                case = Case(name, model, megapixels, *counts, precision, photos)
                row, of_row = summarize(case, run_all(case, arguments.rounds))
                rows.append(row)
                goals += of_row
    notes = [
        f"Medians on {CORES} cores, batches of {Job.batch_size}; turns of each: "
        f"{arguments.rounds}. Seconds are those of the whole command, start-up included. Seconds "
        "as printed are those of its last line, without imports and checks. Processor seconds are "
        "those of all its threads and processes. Start-up apart: of the photos that the long job "
        "has more than the short one.",
        "The photos are a few files under many names: the sample's photos, scaled, with noise.",
    ]
    title = "The pipeline end to end and a bare loop"
    publish(Measured(title, rows, goals, notes), MODULE, argv, arguments.output)


if __name__ == "__main__":
    main()
