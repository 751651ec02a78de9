"""How good masks are, side by side: `python -m benchmarks.quality --help`.

Each row is one run of `run_pipeline.py`, as a user would start it. The table is Markdown.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from model.training.data import Pair, find_pairs, split_pairs
from pipeline.job_settings import Job

ROOT = Path(__file__).parents[1]
FIGURES = {
    "mae": "MAE",
    "max_f": "max F",
    "s_measure": "S-measure",
    "weighted_f": "weighted F",
    "iou": "IoU",
    "boundary_iou": "boundary IoU",
    "relaxed_boundary_f": "relaxed boundary F",
}
# Of others, with the same definitions; on the same images, where nothing else is said.
PUBLISHED = {
    "ecssd_half": {
        "CSNet-L-x2 (141 k parameters, trained on DUTS)": {
            "mae": 0.0668,
            "max_f": 0.8946,
            "s_measure": 0.8907,
            "weighted_f": 0.8034,
            "iou": 0.8120,
            "boundary_iou": 0.6071,
            "relaxed_boundary_f": 0.7285,
        },
        "BASNet as published, on all 1,000 photos": {
            "mae": 0.037,
            "max_f": 0.942,
            "s_measure": 0.916,
            "relaxed_boundary_f": 0.826,
        },
    }
}


def measure(pairs: Sequence[Pair], flags: Sequence[str]) -> tuple[int, dict[str, float | None]]:
    """Runs the pipeline on photos and scores its masks.

    Args:
        pairs: photos with masks, at least one, of unlike names.
        flags: further flags of `run_pipeline.py`. A `--masks FOLDER` among them scores the masks
            of that folder, matched by path without suffix, instead of running a model.

    Returns:
        The number of images and the figures of the data set, as `summary.json` has them.

    Raises:
        subprocess.CalledProcessError: if the pipeline failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        for pair in pairs:
            for kind, source in (("images", pair.image), ("masks", pair.mask)):
                link = Path(folder) / kind / Path(pair.name).parent / source.name
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(source.resolve())
        read = [] if "--masks" in flags else ["--input", f"{folder}/images"]
        command = [sys.executable, ROOT / "run_pipeline.py", *read, *flags]
        command += ["--truth", f"{folder}/masks", "--output", f"{folder}/output"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        summary = json.loads((Path(folder) / "output" / "summary.json").read_text())
    return summary["with_truth"], summary["metrics"]


def table(rows: Sequence[tuple[str, str, str, dict[str, float | None]]]) -> str:
    """Markdown of rows (set, number of images, what was measured, figures)."""
    head = ["set", "images", "masks of", *FIGURES.values()]
    lines = [head, ["---"] * len(head)]
    for name, count, what, figures in rows:
        values = [figures.get(key) for key in FIGURES]
        cells = ["" if value is None else f"{value:.3f}" for value in values]
        lines.append([name, count, what, *cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; see `--help`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    add = parser.add_argument
    add("--data", nargs="+", type=Path, required=True, help="folders with images/ and masks/")
    add(
        "--held_out",
        type=float,
        metavar="FRACTION",
        help="only the photos that `model.train --validation_fraction FRACTION` did not train on",
    )
    add("--model", nargs="*", default=["basnet_mini"], help="as --model of run_pipeline.py")
    add("--image_size", nargs="+", default=[str(Job.image_size)], help="as --image_size")
    add("--tta", nargs="+", default=["none"], choices=("none", "flip"), help="as --tta")
    add("--precision", nargs="+", default=["float32"], help="as --precision")
    add("--masks", nargs="*", default=[], metavar="NAME=FOLDER", help="masks of other programs")
    add("--together", action="store_true", help="all folders as one set")
    arguments = parser.parse_args(argv)

    sets = {folder.resolve().name: find_pairs(folder) for folder in arguments.data}
    if len(sets) < len(arguments.data):
        parser.error("two folders of --data have the same name, by which their rows are told apart")
    if arguments.held_out is not None:
        sets = {name: split_pairs(pairs, arguments.held_out)[1] for name, pairs in sets.items()}
    if arguments.together:
        sets = {"all": [pair for pairs in sets.values() for pair in pairs]}
    rows = []
    for name, pairs in sets.items():
        if not pairs:
            continue
        for model, size, precision, tta in itertools.product(
            arguments.model, arguments.image_size, arguments.precision, arguments.tta
        ):
            flags = ["--model", model, "--image_size", size]
            count, figures = measure(pairs, [*flags, "--precision", precision, "--tta", tta])
            what = f"{model}, {size}²"
            what += f", {precision}" if precision != "float32" else ""
            what += ", flipped too" if tta == "flip" else ""
            rows.append((name, str(count), what, figures))
            print(table(rows[-1:]).splitlines()[-1], file=sys.stderr)
        for text in arguments.masks:
            what, _, folder = text.partition("=")
            count, figures = measure(pairs, ["--masks", folder])
            rows.append((name, str(count), what, figures))
        whole = arguments.held_out is None
        for what, figures in PUBLISHED.get(name, {}).items() if whole else ():
            rows.append((name, str(len(pairs)), what, figures))
    print(table(rows))


if __name__ == "__main__":
    main()
