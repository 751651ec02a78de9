"""Whether measured costs of the stages predict what whole jobs of other shapes take.

First the stages are measured one by one, then what starting takes and what is left around the
stages, on short jobs of tiny photos. From these costs the processor time of longer jobs is
predicted, which run last. No cost is fitted to them.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image

from benchmarks.machine import CORES
from benchmarks.photos import make_photos
from benchmarks.results_files import Goal, Measured, parser, publish
from benchmarks.scaling_model import Costs, Shape, image_seconds, job_seconds
from benchmarks.scaling_stages import PHOTOS, network_seconds, stage_costs, truth_of
from benchmarks.timed_commands import SCRIPT, Usage, check_all_have_masks, run
from pipeline.job_settings import Job
from pipeline.output_layout import JOURNAL, METRICS

MODULE = "benchmarks.scaling"
# Photos of the short jobs, and the square that their network sees: what is measured is the rest.
TINY, TINY_SIDE = 0.01, 32
FEW, MANY = 16, 1216
# Megapixels and squares at which the stages are measured.
SIZES = (TINY, 0.5, 3.0, 12.0)
SIDES = (TINY_SIDE, Job.image_size, 352)
RECORDS = 100
WITHIN = 1.15

RUNS = {
    "photos of 1 megapixel": Shape(500),
    "with truth": Shape(150, truth=True),
    "photos of 8 megapixels": Shape(70, megapixels=8),
    "288², flip": Shape(160, image_size=288, flip=True),
    "records of shards": Shape(500, shards=True),
    "2 worker processes": Shape(500, processes=2),
}


def run_job(shape: Shape, folder: Path) -> tuple[Usage, float]:
    """Runs a job of a shape.

    Args:
        shape: The job.
        folder: An empty folder for its photos and its output.

    Returns:
        What it took, and the bytes of its rows, in metrics and journal, for each image.
    """
    flags = [*_inputs(shape, folder), "--output", folder / "output", "--runner", "DirectRunner"]
    flags += ["--image_size", shape.image_size, "--tta", "flip" if shape.flip else "none"]
    if shape.processes > 1:
        flags += ["--direct_running_mode", "multi_processing"]
        flags += ["--direct_num_workers", shape.processes]
    usage = run([sys.executable, SCRIPT, *map(str, flags)])
    check_all_have_masks(usage, shape.images)
    written = [
        path.stat().st_size
        for name in (JOURNAL, METRICS)
        for path in Path(folder, "output", name).rglob("*")
        if path.is_file()
    ]
    return usage, sum(written) / shape.images


def _inputs(shape: Shape, folder: Path) -> list[object]:
    photos = make_photos(folder / "photos", shape.images, shape.megapixels)
    if shape.shards:
        # Imported here: jobs on files do without it.
        from benchmarks.photo_shards import write_shards

        write_shards(photos, folder / "shards", RECORDS)
        return ["--input", folder / "shards"]
    if not shape.truth:
        return ["--input", folder / "photos"]
    truths = folder / "truths"
    truths.mkdir()
    made: list[Path] = []
    for number, photo in enumerate(photos):
        target = truths / f"{photo.stem}.png"
        if number < PHOTOS:
            with Image.open(photo) as opened:
                target.write_bytes(truth_of(opened.size))
            made.append(target)
        else:
            os.link(made[number % PHOTOS], target)
    return ["--input", folder / "photos", "--truth", truths]


def short_jobs(stages: Costs) -> dict[str, dict[float, float]]:
    """Costs that only whole jobs have: what starting takes, and what is left around the stages."""
    tiny = Shape(FEW, megapixels=TINY, image_size=TINY_SIDE)
    shapes = {
        "few": tiny,
        "files": replace(tiny, images=MANY),
        "truths": replace(tiny, images=MANY, truth=True),
        "records": replace(tiny, images=MANY, shards=True),
        "usual": replace(tiny, image_size=Job.image_size),
        "two": replace(tiny, image_size=Job.image_size, processes=2),
    }
    took, row_bytes = {}, {}
    for name, shape in shapes.items():
        with tempfile.TemporaryDirectory() as folder:
            usage, row_bytes[name] = run_job(shape, Path(folder))
            took[name] = usage.processor
    return left_over(stages, tiny, took, row_bytes)


def left_over(
    stages: Costs, tiny: Shape, took: Mapping[str, float], row_bytes: Mapping[str, float]
) -> dict[str, dict[float, float]]:
    """Subtracts the stages' costs from those of the short jobs; see ``short_jobs``."""
    known = Costs({**stages.points, "rest of a file": {0: 0.0}, "rest of a truth": {0: 0.0}})
    of_stages = sum(image_seconds(known, tiny).values())
    of_truth = image_seconds(known, replace(tiny, truth=True))["truth"]
    file = (took["files"] - took["few"]) / (MANY - FEW)
    # As many photos, whose starting is the same: the difference is that of each photo.
    truth, record = (file + (took[name] - took["files"]) / MANY for name in ("truths", "records"))
    usual = sum(image_seconds(known, replace(tiny, image_size=Job.image_size)).values())
    start = took["usual"] - FEW * (usual + file - of_stages)
    values = {
        "rest of a file": file - of_stages,
        "rest of a truth": truth - file - of_truth,
        "rest of a record": record - of_stages,
        "start": start,
        "further process": took["two"] - took["usual"],
        "row bytes": row_bytes["files"],
        "row bytes with truth": row_bytes["truths"],
    }
    return {name: {0: value} for name, value in values.items()}


def compared(costs: Costs, shares: float) -> Iterator[tuple[dict, Goal]]:
    """Runs the longer jobs, and puts what they took beside what was predicted."""
    for name, whole in RUNS.items():
        shape = replace(whole, images=max(1, round(shares * whole.images)))
        predicted = job_seconds(costs, shape)
        with tempfile.TemporaryDirectory() as folder:
            usage, _ = run_job(shape, Path(folder))
        row, goal = beside(name, shape, predicted, usage)
        print(row, file=sys.stderr, flush=True)
        yield row, goal


def beside(name: str, shape: Shape, predicted: float, usage: Usage) -> tuple[dict, Goal]:
    """A row of the table, and its goal."""
    row = {"job": name, "photos": shape.images, "processor seconds": usage.processor}
    row |= {"predicted": predicted, "predicted to measured": predicted / usage.processor}
    row |= {"seconds": usage.wall, "cores busy": usage.processor / usage.wall / CORES}
    ratio = max(predicted / usage.processor, usage.processor / predicted)
    return row, Goal(f"{name}: predicted and measured processor time", ratio, "<=", WITHIN)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; see `--help`."""
    argv = sys.argv[1:] if argv is None else argv
    flags = parser(MODULE, __doc__)
    add = flags.add_argument
    add("--costs", type=Path, metavar="FILE", help="also write the measured costs as JSON")
    add("--least", type=float, default=1.5, help="processor seconds to measure a stage for")
    add("--share", type=float, default=1.0, help="of the photos of each predicted job")
    arguments = flags.parse_args(argv)

    stages = {"network": network_seconds(SIDES, arguments.least)}
    stages |= stage_costs(SIZES, arguments.least)
    costs = Costs({**stages, **short_jobs(Costs(stages))})
    notes = [
        "Processor seconds of one image, or bytes. The network's cost is by the side of its "
        "square, the others' by the megapixels of the photo, at 0 that of none. The rest is "
        "reading, Beam, journal and rows."
    ]
    title = "Costs of the stages"
    publish(Measured(title, costs.rows(), [], notes), MODULE, argv, arguments.costs)

    rows, goals = zip(*compared(costs, arguments.share), strict=True)
    notes = [
        "Predicted from the costs of the stages, which were measured before and on other jobs. "
        f"basnet_mini in float32; photos of 1 megapixel and {Job.image_size}² where nothing else "
        "is said."
    ]
    title = "Jobs predicted from their stages"
    publish(Measured(title, list(rows), list(goals), notes), MODULE, argv, arguments.output)


if __name__ == "__main__":
    main()
