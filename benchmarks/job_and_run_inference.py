"""The pipeline against Beam's own RunInference with its TensorFlow handler.

Both read the same photos and write masks of the same network; the pipeline computes metrics, too.
They take turns, and their masks are compared.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from benchmarks.photos import link_first, make_photos
from benchmarks.results_files import Goal, Measured, parser, publish
from benchmarks.timed_commands import Usage, annotate, run
from benchmarks.turns import alternate
from model.inference.load import load_model
from pipeline.job_settings import Job

MODULE = "benchmarks.job_and_run_inference"
OURS = {"pipeline, float32": "float32", "pipeline, bfloat16": "bfloat16"}
THEIRS = "RunInference, float32"


def run_all(
    model: Path, folder: Path, megapixels: float, counts: Sequence[int], size: int, rounds: int
) -> dict[tuple[str, int], list[Usage]]:
    """Runs all jobs on few and on many photos, in turns.

    Args:
        model: `.keras` file of `basnet_mini`.
        folder: An empty folder. The masks of a job are in `<folder>/<name> <count>`, or for the
            pipeline in `masks/` below it.
        megapixels: Size of the photos.
        counts: Numbers of photos, ascending.
        size: Side of the network's input, in pixels.
        rounds: Number of turns.

    Returns:
        What the jobs took, by name and number of photos.
    """
    paths = make_photos(folder / str(counts[-1]), counts[-1], megapixels)
    for count in counts[:-1]:
        link_first(paths, count, folder / str(count))

    def pipeline(name: str, count: int) -> Usage:
        flags = ["--overwrite", "--precision", OURS[name], "--image_size", size]
        flags += ["--engine", "keras"]  # As RunInference.
        return annotate(folder / str(count), folder / f"{name} {count}", flags)

    def run_inference(count: int) -> Usage:
        output = folder / f"{THEIRS} {count}"
        output.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "benchmarks.minimal_run_inference", "--model", model]
        command += ["--image_size", str(size), "--input", folder / str(count), "--output", output]
        return run(command)

    turns = {}
    for count in counts:
        turns |= {(name, count): partial(pipeline, name, count) for name in OURS}
        turns[THEIRS, count] = partial(run_inference, count)
    return alternate(turns, rounds)


def summarize(
    jobs: Mapping[tuple[str, int], Sequence[Usage]],
    counts: Sequence[int],
    folder: Path,
    megapixels: float,
) -> tuple[list[dict], list[Goal]]:
    """Makes rows of the table, and goals, from the result and the folder of ``run_all``."""
    few, many = counts
    wall = {job: median(usage.wall for usage in usages) for job, usages in jobs.items()}
    names = (*OURS, THEIRS)
    whole = {name: many / wall[name, many] for name in names}
    apart = {name: (many - few) / (wall[name, many] - wall[name, few]) for name in names}
    rows, goals = [], []
    for name in names:
        row = {
            "megapixels": megapixels,
            "photos": many,
            "what": name,
            "seconds": wall[name, many],
            "processor seconds": median(usage.processor for usage in jobs[name, many]),
            "photos/s": whole[name],
            "photos/s, start-up apart": apart[name],
        }
        if name != THEIRS:
            largest, share = differences(
                folder / f"{name} {many}" / "masks", folder / f"{THEIRS} {many}"
            )
            ratio = {"": whole[name] / whole[THEIRS]}
            ratio[", start-up apart"] = apart[name] / apart[THEIRS]
            row |= {f"photos/s to RunInference's{how}": value for how, value in ratio.items()}
            row["largest difference of masks, of 255"] = largest
            row["share of pixels that differ"] = share
            what = f"{name}, {megapixels:g} megapixels"
            for how, value in ratio.items():
                goals.append(Goal(f"{what}: photos/s to RunInference's{how}", value, ">=", 2.0))
            if OURS[name] == "float32":
                goals.append(Goal(f"{what}: difference of masks, of 255", largest, "<=", 1))
        rows.append(row)
    return rows, goals


def differences(ours: Path, theirs: Path) -> tuple[int, float]:
    """Compares the masks of two folders.

    Returns:
        The largest difference of two pixels, of 255, and the share of pixels that differ.

    Raises:
        ValueError: The folders hold files of other names, or two masks differ in size.
    """
    names = sorted(path.name for path in ours.iterdir())
    if names != sorted(path.name for path in theirs.iterdir()):
        raise ValueError(f"{ours} and {theirs} hold files of other names")
    largest = unlike = pixels = 0
    for name in names:
        pair = [np.asarray(Image.open(folder / name), np.int16) for folder in (ours, theirs)]
        if pair[0].shape != pair[1].shape:
            raise ValueError(f"the two masks {name} differ in size")
        difference = np.abs(pair[0] - pair[1])
        largest = max(largest, int(difference.max()))
        unlike += np.count_nonzero(difference)
        pixels += difference.size
    return largest, unlike / pixels


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; see `--help`."""
    argv = sys.argv[1:] if argv is None else argv
    flags = parser(MODULE, __doc__, rounds=3)
    add = flags.add_argument
    add("--few", type=int, default=50, help="number of photos of the short job")
    add("--many", type=int, default=300, help="number of photos of the long job")
    add("--megapixels", nargs="+", type=float, default=[0.1, 1.0], help="sizes of photos")
    add("--image_size", type=int, default=Job.image_size, help="as --image_size of the pipeline")
    arguments = flags.parse_args(argv)
    counts, size, rounds = (arguments.few, arguments.many), arguments.image_size, arguments.rounds
    rows, goals = [], []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "basnet_mini.keras")
        load_model("basnet_mini").save(file)
        for megapixels in arguments.megapixels:
            of_size = Path(folder, f"{megapixels:g}")
            jobs = run_all(file, of_size, megapixels, counts, size, rounds)
            measured = summarize(jobs, counts, of_size, megapixels)
            rows, goals = rows + measured[0], goals + measured[1]
    notes = [
        f"Medians of whole commands; turns of each: {rounds}. Start-up apart: speed on the "
        f"{arguments.many - arguments.few} photos that the long job has more than the short one.",
        f"RunInference runs the same weights at {size}², in batches of {Job.batch_size}, and uses "
        "the pipeline's functions for decoding and writing. An `inference_fn` takes the first of "
        "the network's outputs. It computes no metrics.",
        "A difference of 1 of 255 is rounding: the pipeline folds batch normalisation.",
    ]
    title = "The pipeline and Beam's RunInference"
    publish(Measured(title, rows, goals, notes), MODULE, argv, arguments.output)


if __name__ == "__main__":
    main()
