"""Time and memory of `--plan` and `--resume` where a great many images are finished.

Image files and masks have three bytes, and the journal is made up: nothing is read, so that what
the names alone cost is seen.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.results_files import Goal, Measured, parser, publish
from benchmarks.timed_commands import SCRIPT, Usage, run
from model.presets import PRESETS
from pipeline.job_settings import Job
from pipeline.records import Item, MetricsRow, Origin
from pipeline.storage.files import write_file
from pipeline.storage.journal_files import COMPACTED, start, to_line
from pipeline.storage.model_file import content_of_model

MODULE = "benchmarks.finished_names"
MODEL = "basnet_mini"
# Files in a folder, and rows in a file of the journal.
TOGETHER = 1000
ROWS = 50_000
# What a row says of a photo of one object.
VALUES = {
    "foreground_fraction": 0.23814,
    "mean_confidence": 0.97352116,
    "uncertain_fraction": 0.04218,
    "components": 1,
    "bounding_box": [31, 12, 188, 240],
    "touches_border": False,
    "empty": False,
}


def lay(folder: Path, count: int) -> None:
    """Makes images, masks and the journal of a job that has finished them.

    Args:
        folder: An empty folder. Images go to `in`, the output is `out`.
        count: Number of images.
    """
    assert MODEL in PRESETS
    output = folder / "out"
    job = Job(str(output), inputs=("in",), model=MODEL, model_content=content_of_model(MODEL))
    start(replace(job, image_size=32))
    lines: list[str] = []
    for number in range(count):
        name = f"{number // TOGETHER:04}/{number % TOGETHER:03}"
        image, mask = folder / "in" / f"{name}.jpg", output / "masks" / f"{name}.png"
        if number % TOGETHER == 0:
            image.parent.mkdir(parents=True)
            mask.parent.mkdir(parents=True)
        image.write_bytes(b"jpg")
        mask.write_bytes(b"png")
        origin = Origin(f"masks/{name}.png", f"3-{os.path.getmtime(image)}")
        item = Item(f"{name}.jpg", origin.source, f"{number:032x}", origin=origin)
        lines.append(to_line(MetricsRow(item, (400, 300), "ok", VALUES), number) + "\n")
        if len(lines) == ROWS or number == count - 1:
            write_file(str(output), f"{COMPACTED}/{number}.jsonl", "".join(lines).encode())
            lines = []


def measure(counts: Sequence[int]) -> dict[tuple[int, str], Usage]:
    """Runs `--plan` and `--resume` on each number of finished images.

    Args:
        counts: Numbers of images.

    Returns:
        What the commands took, by number of images and flag.
    """
    found = {}
    for count in counts:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            lay(folder, count)
            command = [sys.executable, SCRIPT, "--input=in", "--output=out", "--image_size=32"]
            for flag in ("--plan", "--resume"):
                flags = ["--resume", "--plan"] if flag == "--plan" else [flag]
                usage = run([*command, *flags], folder)
                said = f"{count} images are finished"
                if flag == "--resume":
                    said = f"{count} images ({count} of an earlier run)"
                if said not in usage.text:
                    raise RuntimeError(f"not every image was finished:\n{usage.text}")
                found[count, flag] = usage
    return found


def summarize(found: dict[tuple[int, str], Usage]) -> tuple[list[dict], list[Goal]]:
    """Makes rows of the table, and goals, from the result of ``measure``."""
    rows = [
        {
            "finished images": count,
            "flag": flag,
            "seconds": usage.wall,
            "processor seconds": usage.processor,
            "peak memory, MiB": usage.peak,
        }
        for (count, flag), usage in found.items()
    ]
    goals = []
    for (count, flag), usage in found.items():
        if count == 1_000_000:
            what = f"{flag} with a million images finished"
            goals.append(Goal(f"seconds of {what}", usage.wall, "<=", 60))
            goals.append(Goal(f"peak memory of {what}, MiB", usage.peak, "<=", 1536))
    return rows, goals


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; see `--help`."""
    argv = sys.argv[1:] if argv is None else argv
    flags = parser(MODULE, __doc__, rounds=1)
    counts = [10_000, 1_000_000]
    flags.add_argument("--counts", nargs="+", type=int, default=counts, help="numbers of images")
    arguments = flags.parse_args(argv)
    rows, goals = summarize(measure(sorted(arguments.counts)))
    notes = [f"Files and masks of three bytes, {TOGETHER} in a folder; a made-up journal."]
    title = "Names of finished images"
    publish(Measured(title, rows, goals, notes), MODULE, argv, arguments.output)


if __name__ == "__main__":
    main()
