"""The pipeline against Beam's own RunInference with its TensorFlow handler.

Both read the same photos, decode them alike and write masks of the same network; the pipeline
measures the masks, too. They take turns, and their masks are compared.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
from PIL import Image

from benchmarks.jobs import annotate, run
from benchmarks.measure import Goal, Measured, alternate, parser, publish
from benchmarks.photos import make_photos
from model.load import load_model

MODULE = "benchmarks.run_inference"
OURS, OURS_16, THEIRS = "pipeline, float32", "pipeline, bfloat16", "RunInference, float32"


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
    add("--image_size", type=int, default=192, help="side of the square that the network takes")
    arguments = flags.parse_args(argv)
    few, many, size = arguments.few, arguments.many, ["--image_size", str(arguments.image_size)]
    rows, goals = [], []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "basnet_mini.keras")
        load_model("basnet_mini").save(file)
        for megapixels in arguments.megapixels:
            root = Path(folder, f"{megapixels:g}")
            for path in make_photos(root / "many", many, megapixels)[:few]:
                (root / "few").mkdir(exist_ok=True)
                (root / "few" / path.name).hardlink_to(path)

            def ours(precision: str, which: str, root=root):
                flags = ["--overwrite", "--precision", precision, *size]
                return annotate(root / which, root / f"{precision} {which}", flags)

            def theirs(which: str, root=root):
                output = root / f"theirs {which}"
                output.mkdir(exist_ok=True)
                command = [sys.executable, "-m", "benchmarks.run_inference_job", *size]
                command += ["--input", root / which, "--output", output, "--model", file]
                return run(command)

            turns = {}
            for which in ("few", "many"):
                turns[OURS, which] = partial(ours, "float32", which)
                turns[OURS_16, which] = partial(ours, "bfloat16", which)
                turns[THEIRS, which] = partial(theirs, which)
            found = alternate(turns, arguments.rounds)
            wall = {turn: median(usage.wall for usage in found[turn]) for turn in found}
            speeds = {
                who: (many / wall[who, "many"], (many - few) / (wall[who, "many"] - wall[who, "few"]))
                for who in (OURS, OURS_16, THEIRS)
            }
            for who, (whole, apart) in speeds.items():
                row = {
                    "megapixels": megapixels,
                    "photos": many,
                    "what": who,
                    "seconds": wall[who, "many"],
                    "processor seconds": median(each.processor for each in found[who, "many"]),
                    "photos/s": whole,
                    "photos/s, start-up apart": apart,
                }
                if who != THEIRS:
                    masks = root / f"{who.rpartition(' ')[2]} many" / "masks"
                    largest, share = differences(masks, root / "theirs many")
                    row |= {
                        "to RunInference's": whole / speeds[THEIRS][0],
                        "start-up apart": apart / speeds[THEIRS][1],
                        "largest difference of masks, of 255": largest,
                        "share of pixels that differ": share,
                    }
                    what = f"{who}, {megapixels:g} megapixels: photos/s to RunInference's"
                    goals.append(Goal(what, whole / speeds[THEIRS][0], ">=", 2.0))
                    what = f"{what}, start-up apart"
                    goals.append(Goal(what, apart / speeds[THEIRS][1], ">=", 2.0))
                    if who == OURS:
                        what = f"{who}, {megapixels:g} megapixels: difference of masks, of 255"
                        goals.append(Goal(what, largest, "<=", 1))
                rows.append(row)
    notes = [
        f"Medians of {arguments.rounds} turns of whole commands. Start-up apart: of the photos "
        f"that the long job ({many}) has more than the short one ({few}).",
        "RunInference gets the same file of basnet_mini, batches of 8 and the pipeline's own "
        "functions for decoding and writing; it takes the first of the network's outputs by an "
        "`inference_fn` of its own, and computes no metrics.",
        "A difference of 1 of 255 is a rounding: batch normalisation is folded in one of the two.",
    ]
    title = "The pipeline and Beam's RunInference"
    publish(Measured(title, rows, goals, notes), MODULE, argv, arguments.output)


if __name__ == "__main__":
    main()
