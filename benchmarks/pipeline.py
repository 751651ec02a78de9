"""The pipeline end to end against a bare loop of the same network on decoded arrays.

`run_pipeline.py` runs on a few and on many photos, start-up, decoding, writing and metrics
included; the bare loop runs the same `Segmenter` on as many arrays in memory. All take turns. The
difference between many and few tells what a photo takes once the command has started.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from benchmarks.jobs import annotate, reported_seconds
from benchmarks.measure import CORES, Goal, Measured, alternate, parser, publish, timed
from benchmarks.networks import paper_network
from benchmarks.photos import make_photos
from model.inference.load import load_model
from model.inference.segmenter import Segmenter
from pipeline.job_settings import Job

MODULE = "benchmarks.pipeline"
FULL = "basnet_paper"
# Side of the images: the command's default, and what the paper's network was trained at.
_SIDES = {FULL: 256}
_USUAL_SIDE = Job.image_size
_BATCH = Job.batch_size


def measure(
    name: str,
    model: str,
    megapixels: float,
    counts: tuple[int, int],
    precision: str,
    rounds: int,
    photos: Path | None = None,
) -> tuple[dict, list[Goal]]:
    """Measures a network on photos of one size.

    Args:
        name: What the network is called.
        model: What `--model` takes.
        megapixels: Size of the photos.
        counts: Few photos and many.
        precision: What `--precision` takes.
        rounds: How often each is run.
        photos: Folder of JPEGs to make the photos of.

    Returns:
        A row of the table and goals.
    """
    few, many = counts
    side = _SIDES.get(name, _USUAL_SIDE)
    flags = ["--model", model, "--image_size", side, "--batch_size", _BATCH]
    flags += ["--precision", precision]
    network = Segmenter(load_model(model), side, _BATCH, "none", precision)
    with tempfile.TemporaryDirectory() as folder:
        paths = make_photos(Path(folder, "many"), many, megapixels, photos)
        Path(folder, "few").mkdir()
        for path in paths[:few]:
            Path(folder, "few", path.name).hardlink_to(path)
        images = np.stack(
            [np.asarray(Image.open(path).resize((side, side))) for path in paths[:_BATCH]]
        )

        def job(which: str):
            with tempfile.TemporaryDirectory() as output:
                return annotate(Path(folder, which), Path(output), flags)

        def bare_loop():
            for start in range(0, many, _BATCH):
                network(images[: many - start])

        network(images)
        turns = {which: partial(job, which) for which in ("few", "many")}
        turns["loop"] = timed(bare_loop)
        found = alternate(turns, rounds)

    wall = {which: median(usage.wall for usage in found[which]) for which in ("few", "many")}
    processor = median(usage.processor for usage in found["many"])
    loop = median(found["loop"])
    between = (many - few) / (wall["many"] - wall["few"])
    row = {
        "network": f"{name}, {side}², {precision}",
        "megapixels": megapixels,
        "photos": many,
        "seconds": wall["many"],
        "seconds, as printed": median(map(reported_seconds, found["many"])),
        "processor seconds": processor,
        "wall ÷ (processor ÷ cores)": median(usage.idle for usage in found["many"]),
        "photos/s": many / wall["many"],
        "photos/s, start-up apart": between,
        "bare loop, photos/s": many / loop,
        "seconds to the bare loop's": wall["many"] / loop,
        "start-up apart, to the bare loop's": many / loop / between,
    }
    goals = []
    what = f"pipeline, {name}, {megapixels:g} megapixels, {precision}"
    if name == FULL:
        share = between / (many / loop)
        goals.append(
            Goal(f"{what}: photos/s, start-up apart, to the bare loop's", share, ">=", 0.97)
        )
    elif megapixels == 1:
        idle = row["wall ÷ (processor ÷ cores)"]
        goals += [
            Goal(f"{what}: wall ÷ (processor seconds ÷ {CORES})", idle, "<=", 1.15),
            Goal(f"{what}: all its seconds to the bare loop's", wall["many"] / loop, "<=", 1.6),
            Goal(f"{what}: the same, start-up apart", many / loop / between, "<=", 1.6),
        ]
    return row, goals


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; see `--help`."""
    argv = sys.argv[1:] if argv is None else argv
    flags = parser(MODULE, __doc__)
    add = flags.add_argument
    add("--models", nargs="+", default=["basnet_mini", FULL], help=f"presets; {FULL}'s are random")
    add("--megapixels", nargs="+", type=float, default=[0.1, 1.0, 12.0], help="sizes of photos")
    add("--few", type=int, default=100, help="number of photos of the short job, a small network's")
    add("--many", type=int, default=600, help="of the long one")
    add("--few_full", type=int, default=8, help=f"likewise for {FULL}")
    add("--many_full", type=int, default=48, help=f"likewise for {FULL}")
    add("--precision", default="float32", help="as --precision of run_pipeline.py")
    add("--photos", type=Path, help="folder of JPEGs to make the photos of (default: the sample's)")
    arguments = flags.parse_args(argv)
    rows, goals = [], []
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.models:
            model, counts = name, (arguments.few, arguments.many)
            if name == FULL:
                model, counts = f"{folder}/{name}.keras", (arguments.few_full, arguments.many_full)
                paper_network().save(model)
            for megapixels in arguments.megapixels:
                row, of_row = measure(
                    name,
                    model,
                    megapixels,
                    counts,
                    arguments.precision,
                    arguments.rounds,
                    arguments.photos,
                )
                rows.append(row)
                goals += of_row
    notes = [
        f"Medians of {arguments.rounds} turns, on {CORES} cores, batches of {_BATCH}. Seconds are "
        "those of the whole command, start-up included; as printed are those of its last line, "
        "without imports and checks; processor seconds are of all its threads and processes. "
        "Start-up apart: of the photos that the long job has more than the short one "
        f"({arguments.few} and {arguments.many}; {FULL}: {arguments.few_full} and "
        f"{arguments.many_full}).",
        "The photos are further names of a few files, the sample's photos scaled, with noise.",
    ]
    title = "The pipeline end to end and a bare loop"
    publish(Measured(title, rows, goals, notes), MODULE, argv, arguments.output)


if __name__ == "__main__":
    main()
