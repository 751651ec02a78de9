"""What the review list is worth: how many of the worst masks its first tenth holds."""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.quality import add_sets, link_pairs, read_sets
from benchmarks.results_files import Goal, Measured, parser, publish
from benchmarks.timed_commands import SCRIPT
from model.training.pairs import Pair
from pipeline.report.review import MOST

MODULE = "benchmarks.review_list"
# The share of the worst masks that is looked for, and of the list that is looked at.
TENTH = 0.1
GOAL = 0.5
# What one figure of a row says, most suspicious first.
SINGLE: dict[str, Callable[[dict], float]] = {
    "most uncertain pixels": lambda row: -row["uncertain_fraction"],
    "least confidence": lambda row: row["mean_confidence"],
    "most parts": lambda row: -row["components"],
    "least foreground": lambda row: row["foreground_fraction"],
    "most foreground": lambda row: -row["foreground_fraction"],
    "at the border": lambda row: -row["touches_border"],
    "empty": lambda row: -row["empty"],
}


def annotate(pairs: Sequence[Pair], folder: Path, flags: Sequence[str]) -> tuple[list, list[str]]:
    """Runs the pipeline on photos with their truths.

    Args:
        pairs: Photos with masks.
        folder: An empty folder.
        flags: Further flags of `run_pipeline.py`.

    Returns:
        The rows, and the keys of the review list in its order.

    Raises:
        subprocess.CalledProcessError: The pipeline failed.
    """
    link_pairs(pairs, folder)
    places = ["--input", f"{folder}/images", "--truth", f"{folder}/masks"]
    command = [sys.executable, SCRIPT, *places, "--output", f"{folder}/output", *flags]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    files = sorted((folder / "output" / "metrics").glob("*.jsonl"))
    rows = [json.loads(line) for path in files for line in path.read_text().splitlines()]
    with open(folder / "output" / "review.csv") as file:
        return rows, [line["key"] for line in csv.DictReader(file)]


def share_found(rows: Sequence[dict], first: Sequence[str]) -> float:
    """Of the tenth of images with the lowest IoU, the share that some images hold.

    Args:
        rows: Rows with a truth.
        first: Keys of the images that are looked at.
    """
    worst = sorted(rows, key=lambda row: (row["iou"], row["key"]))[: tenth(len(rows))]
    return len({row["key"] for row in worst} & set(first)) / len(worst)


def tenth(count: int) -> int:
    """A tenth of a number, rounded up."""
    return -(-count // 10)


def measure(name: str, rows: Sequence[dict], review: Sequence[str]) -> dict:
    """A line of the table."""
    rows = [row for row in rows if row.get("iou") is not None]
    count = tenth(len(rows))
    found = {
        what: share_found(rows, [row["key"] for row in sorted(rows, key=rank)[:count]])
        for what, rank in SINGLE.items()
    }
    best = max(found, key=found.get)
    return {
        "set": name,
        "images": len(rows),
        "review list": share_found(rows, review[:count]),
        "random": TENTH,
        "best single figure": found[best],
        "which": best,
        **{what: share for what, share in found.items() if what != best},
    }


def flags() -> argparse.ArgumentParser:
    """Makes the parser of the command's flags."""
    made = parser(MODULE, __doc__)
    add_sets(made)
    made.add_argument("--name", help="name of the set; default: that of the only folder")
    return made


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; see `--help`."""
    argv = sys.argv[1:] if argv is None else argv
    command = flags()
    arguments, others = command.parse_known_args(argv)
    try:
        pairs = [pair for pairs in read_sets(arguments) for pair in pairs]
    except ValueError as error:
        command.error(str(error))
    if not 10 <= len(pairs) <= 10 * MOST:
        command.error(f"from 10 to {10 * MOST} photos can be measured; got {len(pairs)}")
    name = arguments.name or ", ".join(folder.resolve().name for folder in arguments.data)
    with tempfile.TemporaryDirectory() as folder:
        measured = measure(name, *annotate(pairs, Path(folder), others))
    what = f"{name}: share of the worst tenth by IoU in the first tenth of the review list"
    goals = [Goal(what, measured["review list"], ">=", GOAL)]
    notes = [
        "A tenth of the images is looked at. How many of the tenth with the lowest IoU are among "
        "them? The list knows no truth. A single figure sorts the same images."
    ]
    publish(
        Measured("What the review list is worth", [measured], goals, notes),
        MODULE,
        argv,
        arguments.output,
    )


if __name__ == "__main__":
    main()
