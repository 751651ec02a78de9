"""Processor time of a photo beside the network, by step, and what it was in another checkout.

The photos are those of the bundled sample that have a truth, enlarged; the maps are the bundled
network's. Checkouts take turns, and their masks and figures are compared.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import mean, median

import numpy as np
from PIL import Image

from benchmarks.photos import make_photos, sample_fields
from benchmarks.results_files import Goal, Measured, parser, publish
from benchmarks.timed_commands import ROOT
from benchmarks.turns import alternate
from model.metrics.pair import compare, describe_mask
from pipeline.images.truth import decode_truth
from pipeline.job_settings import Job

MODULE = "benchmarks.surroundings"

_STEPS = Path(__file__).parent / "surroundings_steps.py"
_WITHOUT = ("decode", "mask", "png", "description")
_WITH = (*_WITHOUT, "truth", "comparison")
# Most milliseconds of a photo of 12 megapixels, without a truth and with one.
_BOUNDS = {"without truth": 90.0, "with truth": 250.0}


def make_inputs(folder: Path, megapixels: float) -> None:
    """Writes photos, maps and truths, as ``surroundings_steps`` reads them."""
    # Imported here: it loads TensorFlow.
    from model.inference.load import load_model
    from model.inference.segmenter import Segmenter
    from pipeline.images.photo import decode_image

    truths = sample_fields("image/segmentation/class/encoded")
    network = Segmenter(load_model(Job.model), Job.image_size, 1)
    for path, truth in zip(make_photos(folder, len(truths), megapixels), truths, strict=True):
        if truth is None:
            path.unlink()
            continue
        photo = decode_image(path.read_bytes(), Job.image_size)
        np.save(path.with_suffix(".npy"), network(photo.pixels[None])[0])
        large = Image.open(io.BytesIO(truth)).resize(photo.size, Image.Resampling.BICUBIC)
        large.point(lambda level: 255 * (level > 127)).save(path.with_suffix(".png"))


def run_steps(checkout: Path, inputs: Path, output: Path) -> dict[str, dict]:
    """What ``surroundings_steps.measure`` returns in a checkout."""
    output.mkdir(exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    # Without the folder of the file, which would hide modules of the same names.
    command = [sys.executable, "-P", _STEPS, inputs, output]
    printed = subprocess.check_output(command, cwd=checkout, env=environment, text=True)
    return json.loads(printed)


def milliseconds(turns: Sequence[Mapping[str, Mapping]]) -> dict[str, float]:
    """A photo's mean of each step, of the steps together, and the mean size of a PNG in kB.

    Args:
        turns: What ``run_steps`` returned, of each turn. The median over the turns counts.
    """
    found = {
        step: mean(median(turn[name][step] for turn in turns) for name in turns[0])
        for step in _WITH
    }
    found["without truth"] = sum(found[step] for step in _WITHOUT)
    found["with truth"] = sum(found[step] for step in _WITH)
    return found | {"PNG, kB": mean(photo["bytes"] for photo in turns[0].values()) / 1000}


def differences(before: Mapping[str, Mapping], inputs: Path, masks: tuple[Path, Path]) -> str:
    """Says how far masks differ from those of another checkout, and figures of the same masks.

    Args:
        before: What ``run_steps`` returned in the other checkout.
        inputs: Folder of the photos and truths.
        masks: The folders of its masks, and of the masks of this one.
    """
    apart, pixels, levels, figures = 0, 0, 0, 0.0
    for name, row in before.items():
        one, other = (np.load(folder / f"{name}.npy") for folder in masks)
        difference = np.abs(one.astype(np.int16) - other)
        levels = max(levels, int(difference.max()))
        apart, pixels = apart + np.count_nonzero(difference), pixels + one.size
        truth = decode_truth((inputs / f"{name}.png").read_bytes(), one.shape[::-1])
        again = describe_mask(one) | compare(one, truth).values
        for figure, value in row["figures"].items():
            if value != again[figure]:
                figures = max(figures, abs(value - again[figure]))
    return (
        f"of a million pixels {1e6 * apart / pixels:.1f} are another, by {levels} of 255 levels at "
        f"most; figures of the same mask differ by {figures:.1g} at most"
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; see `--help`."""
    argv = sys.argv[1:] if argv is None else argv
    flags = parser(MODULE, __doc__, rounds=3)
    flags.add_argument("--before", type=Path, help="another checkout of the project")
    flags.add_argument("--megapixels", nargs="+", type=float, default=[1.0, 12.0], help="sizes")
    arguments = flags.parse_args(argv)
    checkouts = {"before": arguments.before.resolve()} if arguments.before else {}
    checkouts["now"] = ROOT
    rows, goals, notes = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for megapixels in arguments.megapixels:
            inputs = Path(folder, f"{megapixels:g}")
            make_inputs(inputs, megapixels)
            masks = {who: Path(folder, f"{who}{megapixels:g}") for who in checkouts}
            turns = alternate(
                {
                    who: partial(run_steps, path, inputs, masks[who])
                    for who, path in checkouts.items()
                },
                arguments.rounds,
            )
            found = {who: milliseconds(turns[who]) for who in turns}
            rows += [{"megapixels": megapixels, "checkout": who, **found[who]} for who in checkouts]
            if megapixels == 12:
                goals = [
                    Goal(f"ms of a photo of 12 megapixels, {what}", found["now"][what], "<=", bound)
                    for what, bound in _BOUNDS.items()
                ]
            if arguments.before:
                folders = masks["before"], masks["now"]
                apart = differences(turns["before"][0], inputs, folders)
                notes.append(f"Before and now at {megapixels:g} megapixels: {apart}.")
    how = (
        "Milliseconds of processor time of a photo, one thread; medians of turns, means of five "
        f"photos; turns of each: {arguments.rounds}. With truth is everything."
    )
    measured = Measured("Beside the network", rows, goals, [how, *notes])
    publish(measured, MODULE, argv, arguments.output)


if __name__ == "__main__":
    main()
