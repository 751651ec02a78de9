"""How good masks are, side by side: those of networks, of other programs, and published figures.

Each row of figures is the result of one run of `run_pipeline.py`, except those of `--rivals`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.results_files import Measured, parser, publish, table
from benchmarks.rival_files import read_rival
from benchmarks.timed_commands import SCRIPT
from model.training.pairs import Pair, find_pairs, split_pairs
from pipeline.job_settings import Job

MODULE = "benchmarks.quality"
# Figures of `summary.json`, and their columns.
FIGURES = {
    "mae": "MAE",
    "max_f": "max F",
    "s_measure": "S-measure",
    "weighted_f": "weighted F",
    "iou": "IoU",
    "boundary_iou": "boundary IoU",
    "relaxed_boundary_f": "relaxed boundary F",
}


def measure(pairs: Sequence[Pair], flags: Sequence[str]) -> tuple[int, dict[str, float | None]]:
    """Runs the pipeline on photos and scores its masks.

    Args:
        pairs: Photos with masks, at least one, of different names.
        flags: Further flags of `run_pipeline.py`. With `--masks FOLDER` no model is run: the
            masks of that folder are scored, matched by path without suffix.

    Returns:
        The number of images and the figures of the data set, as `summary.json` has them.

    Raises:
        subprocess.CalledProcessError: The pipeline failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        link_pairs(pairs, Path(folder))
        read = [] if "--masks" in flags else ["--input", f"{folder}/images"]
        command = [sys.executable, SCRIPT, *read, *flags]
        command += ["--truth", f"{folder}/masks", "--output", f"{folder}/output"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        summary = json.loads((Path(folder) / "output" / "summary.json").read_text())
    return summary["with_truth"], summary["metrics"]


def link_pairs(pairs: Sequence[Pair], folder: Path) -> None:
    """Makes links to photos and masks, below ``images`` and ``masks`` of a folder."""
    for pair in pairs:
        for kind, source in (("images", pair.image), ("masks", pair.mask)):
            link = folder / kind / Path(pair.name).parent / source.name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(source.resolve())


def row(where: str, images: int, what: str, figures: Mapping[str, float | None]) -> dict:
    """Makes a row of the table; figures have three decimals, as papers print them."""
    values = {column: figures.get(key) for key, column in FIGURES.items()}
    shown = {column: None if value is None else f"{value:.3f}" for column, value in values.items()}
    return {"set": where, "images": images, "masks of": what, **shown}


def rows_of_set(where: str, pairs: Sequence[Pair], arguments: argparse.Namespace) -> Iterator[dict]:
    """Measures all networks and all folders of masks on one set of photos."""
    for model, size, precision, tta in itertools.product(
        arguments.model, arguments.image_size, arguments.precision, arguments.tta
    ):
        flags = ["--model", model, "--image_size", size, "--precision", precision, "--tta", tta]
        what = f"{model}, {size}²"
        what += f", {precision}" if precision != "float32" else ""
        what += ", flipped too" if tta == "flip" else ""
        count, figures = measure(pairs, flags)
        yield row(where, count, what, figures)
    for text in arguments.masks:
        what, _, folder = text.partition("=")
        count, figures = measure(pairs, ["--masks", folder])
        yield row(where, count, what, figures)


def add_sets(made: argparse.ArgumentParser) -> None:
    """Adds the flags that ``read_sets`` looks at."""
    made.add_argument(
        "--data", nargs="+", type=Path, required=True, help="folders with images/ and masks/"
    )
    made.add_argument(
        "--held_out",
        type=float,
        metavar="FRACTION",
        help="only the photos that `model.train --validation_fraction FRACTION` did not train on",
    )


def read_sets(arguments: argparse.Namespace) -> list[list[Pair]]:
    """The photos of each folder of ``--data``; with ``--held_out`` only these.

    Raises:
        ValueError: A folder has photos without a mask, or none at all.
    """
    sets = [find_pairs(folder) for folder in arguments.data]
    for folder, pairs in zip(arguments.data, sets, strict=True):
        if any(pair.mask is None for pair in pairs):
            raise ValueError(f"{folder} has photos without a mask")
    if arguments.held_out is None:
        return sets
    return [split_pairs(pairs, arguments.held_out)[1] for pairs in sets]


def flags() -> argparse.ArgumentParser:
    """Makes the parser of the command's flags."""
    made = parser(MODULE, __doc__)
    add = made.add_argument
    add_sets(made)
    add("--model", nargs="*", default=["basnet_mini"], help="as --model of run_pipeline.py")
    add("--image_size", nargs="+", default=[str(Job.image_size)], help="as --image_size")
    add("--tta", nargs="+", default=["none"], choices=("none", "flip"), help="as --tta")
    add("--precision", nargs="+", default=["float32"], help="as --precision")
    add("--masks", nargs="*", default=[], metavar="NAME=FOLDER", help="masks of other programs")
    add("--together", action="store_true", help="all folders as one set")
    add(
        "--rivals",
        nargs="*",
        type=Path,
        default=[],
        metavar="FILE",
        help="published figures to add, such as benchmarks/rivals/*.json",
    )
    return made


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; see `--help`."""
    argv = sys.argv[1:] if argv is None else argv
    command = flags()
    arguments = command.parse_args(argv)
    names = [folder.resolve().name for folder in arguments.data]
    if len({*names}) < len(names):
        command.error("two folders of --data have the same name, which is what tells rows apart")
    try:
        sets = dict(zip(names, read_sets(arguments), strict=True))
        rivals = [read_rival(path, FIGURES) for path in arguments.rivals]
    except (OSError, ValueError) as error:
        command.error(str(error))
    if arguments.together:
        sets = {"all": [pair for pairs in sets.values() for pair in pairs]}
    rows = []
    for name, pairs in sets.items():
        for measured in rows_of_set(name, pairs, arguments) if pairs else ():
            rows.append(measured)
            print(table([measured]).splitlines()[-1], file=sys.stderr)
    notes = []
    for rival in rivals:
        rows.append(row(rival.set, rival.photos, rival.name, rival.figures))
        notes.append(f"{rival.name}: {rival.source}.")
    publish(Measured("How good the masks are", rows, [], notes), MODULE, argv, arguments.output)


if __name__ == "__main__":
    main()
