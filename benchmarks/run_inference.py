"""The pipeline against Beam's own RunInference with its TensorFlow handler.

Both read the same photos, decode them alike and write masks of the same network; the pipeline
measures the masks, too. They take turns, and their masks are compared.
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

from benchmarks.jobs import Usage, annotate, run
from benchmarks.measure import Goal, Measured, alternate, parser, publish
from benchmarks.photos import make_photos
from model.inference.load import load_model
from pipeline.job_settings import Job

MODULE = "benchmarks.run_inference"
PRECISIONS = ("float32", "bfloat16")
THEIRS = "RunInference"


def measure(
    model: Path, folder: Path, megapixels: float, counts: tuple[int, int], size: int, rounds: int
) -> tuple[list[dict], list[Goal]]:
    """Measures both on photos of one size.

    Args:
        model: `.keras` file of `basnet_mini`.
        folder: An empty folder, for photos and masks.
        megapixels: Size of the photos.
        counts: Few photos and many.
        size: Side of the square that the network takes, in pixels.
        rounds: How often each is run.

    Returns:
        Rows of the table and goals.
    """
    few, many = counts
    flags = ["--image_size", str(size)]
    paths = make_photos(folder / str(many), many, megapixels)
    (folder / str(few)).mkdir()
    for path in paths[:few]:
        (folder / str(few) / path.name).hardlink_to(path)

    def pipeline(precision: str, count: int) -> Usage:
        output = folder / f"{precision} {count}"
        return annotate(
            folder / str(count), output, ["--overwrite", "--precision", precision, *flags]
        )

    def run_inference(count: int) -> Usage:
        output = folder / f"{THEIRS} {count}"
        output.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "benchmarks.run_inference_job", "--model", model, *flags]
        return run([*command, "--input", folder / str(count), "--output", output])

    turns = {}
    for count in counts:
        turns |= {(each, count): partial(pipeline, each, count) for each in PRECISIONS}
        turns[THEIRS, count] = partial(run_inference, count)
    found = alternate(turns, rounds)
    wall = {turn: median(usage.wall for usage in usages) for turn, usages in found.items()}
    whole, apart = {}, {}
    for who in (*PRECISIONS, THEIRS):
        whole[who] = many / wall[who, many]
        apart[who] = (many - few) / (wall[who, many] - wall[who, few])

    rows, goals = [], []
    for who in (*PRECISIONS, THEIRS):
        row = {
            "megapixels": megapixels,
            "photos": many,
            "what": f"{THEIRS}, float32" if who == THEIRS else f"pipeline, {who}",
            "seconds": wall[who, many],
            "processor seconds": median(usage.processor for usage in found[who, many]),
            "photos/s": whole[who],
            "photos/s, start-up apart": apart[who],
        }
        if who != THEIRS:
            largest, share = differences(
                folder / f"{who} {many}" / "masks", folder / f"{THEIRS} {many}"
            )
            row |= {
                "to RunInference's": whole[who] / whole[THEIRS],
                "start-up apart": apart[who] / apart[THEIRS],
                "largest difference of masks, of 255": largest,
                "share of pixels that differ": share,
            }
            what = f"pipeline, {who}, {megapixels:g} megapixels"
            speed = f"{what}: photos/s to RunInference's"
            goals.append(Goal(speed, whole[who] / whole[THEIRS], ">=", 2.0))
            goals.append(Goal(f"{speed}, start-up apart", apart[who] / apart[THEIRS], ">=", 2.0))
            if who == "float32":
                goals.append(Goal(f"{what}: difference of masks, of 255", largest, "<=", 1))
        rows.append(row)
    return rows, goals


def differences(ours: Path, theirs: Path) -> tuple[int, float]:
    """Compares the masks of two folders.

    Returns:
        The largest difference of two pixels, of 255, and the share of pixels that differ.

    Raises:
        ValueError: The folders hold other files, or a mask has another size.
    """
    names = sorted(path.name for path in ours.iterdir())
    if names != sorted(path.name for path in theirs.iterdir()):
        raise ValueError(f"{ours} and {theirs} hold other masks")
    largest = unlike = pixels = 0
    for name in names:
        pair = [np.asarray(Image.open(folder / name), np.int16) for folder in (ours, theirs)]
        if pair[0].shape != pair[1].shape:
            raise ValueError(f"{name} has another size")
        difference = np.abs(pair[0] - pair[1])
        largest = max(largest, int(difference.max()))
        unlike += np.count_nonzero(difference)
        pixels += difference.size
    return largest, unlike / pixels


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; see `--help`."""
    argv = sys.argv[1:] if argv is None else argv
    flags = parser(MODULE, __doc__)
    add = flags.add_argument
    add("--few", type=int, default=50, help="number of photos of the short job")
    add("--many", type=int, default=300, help="of the long one")
    add("--megapixels", nargs="+", type=float, default=[0.1, 1.0], help="sizes of photos")
    add("--image_size", type=int, default=Job.image_size, help="as --image_size of the pipeline")
    arguments = flags.parse_args(argv)
    counts = (arguments.few, arguments.many)
    rows, goals = [], []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "basnet_mini.keras")
        load_model("basnet_mini").save(file)
        for megapixels in arguments.megapixels:
            of_size = Path(folder, f"{megapixels:g}")
            of_size.mkdir()
            measured = measure(
                file, of_size, megapixels, counts, arguments.image_size, arguments.rounds
            )
            rows, goals = rows + measured[0], goals + measured[1]
    notes = [
        f"Medians of {arguments.rounds} turns of whole commands. Start-up apart: of the photos "
        "that the long job has more than the short one "
        f"({arguments.few} and {arguments.many}).",
        f"RunInference gets the same file of basnet_mini, batches of 8 at {arguments.image_size}² "
        "and the pipeline's own functions for decoding and writing; it takes the first of the "
        "network's outputs by an `inference_fn` of its own, and computes no metrics.",
        "A difference of 1 of 255 is a rounding: batch normalisation is folded in one of the two.",
    ]
    title = "The pipeline and Beam's RunInference"
    publish(Measured(title, rows, goals, notes), MODULE, argv, arguments.output)


if __name__ == "__main__":
    main()
