"""A job on a disk and the same job on buckets that answer late, in turns.

Emulators of Google's and Amazon's storage run on this machine, and take a little of its processors.
Every request waits before it is passed on, as it would on its way to a real bucket. Photos, truths,
masks, rows, annotations and journal are in the bucket. A second job in the same folder, with
`--resume`, finds all of it finished.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median

import keras
from PIL import Image, ImageDraw

from benchmarks.peer_networks import paper_network
from benchmarks.photos import make_photos
from benchmarks.results_files import Goal, Measured, parser, publish
from benchmarks.timed_commands import SCRIPT, Usage, check_all_have_masks, run
from benchmarks.turns import alternate
from tests.clouds import Amazon, Cloud, Google

MODULE = "benchmarks.buckets"
CLOUDS = {"gs://": Google, "s3://": Amazon}
DISK = "disk"
SIDE = 256


def late(seconds: float) -> Callable[[str, str], None]:
    """A fault of an emulator that only makes each request wait."""

    def wait(*_: str) -> None:
        time.sleep(seconds)

    return wait


def lay(folder: Path, count: int, clouds: Mapping[str, Cloud]) -> None:
    """Puts photos and their truths on the disk and into the buckets."""
    photos = make_photos(folder / "in", count, megapixels=1)
    (folder / "truth").mkdir()
    for photo in photos:
        truth = io.BytesIO()
        _ellipse(photo).save(truth, "PNG")
        (folder / "truth" / f"{photo.stem}.png").write_bytes(truth.getvalue())
        for cloud in clouds.values():
            cloud.put(f"in/{photo.name}", photo.read_bytes())
            cloud.put(f"truth/{photo.stem}.png", truth.getvalue())


def measure(
    network: keras.Model, count: int, delay: float, rounds: int
) -> dict[str, list[tuple[Usage, Usage]]]:
    """Runs a job, and its resume, on the disk and on each bucket.

    Args:
        network: What segments the photos, at ``SIDE``.
        count: Number of photos.
        delay: Seconds that each request to a bucket waits.
        rounds: Number of turns.

    Returns:
        What job and resume took, by the place.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = folder / "network.keras"
        network.save(model)
        clouds = {}
        for scheme, cloud in CLOUDS.items():
            (folder / scheme[:2]).mkdir()
            clouds[scheme] = cloud(folder / scheme[:2])
        lay(folder, count, clouds)
        for cloud in clouds.values():
            cloud.fault = late(delay)
        outputs = iter(range(sys.maxsize))

        def job(place: str) -> tuple[Usage, Usage]:
            cloud = clouds.get(place)
            root = cloud.root if cloud else folder
            flags = [f"--input={root}/in", f"--truth={root}/truth", f"--model={model}"]
            flags += [f"--output={root}/out{next(outputs)}", f"--image_size={SIDE}"]
            flags += ["--annotations", "coco", *(cloud.flags if cloud else ())]
            environment = os.environ | (cloud.environment if cloud else {})
            command = [sys.executable, SCRIPT, *flags]
            usage = run(command, folder, environment)
            check_all_have_masks(usage, count)
            return usage, run([*command, "--resume"], folder, environment)

        try:
            return alternate({place: partial(job, place) for place in (DISK, *clouds)}, rounds)
        finally:
            for cloud in clouds.values():
                cloud.close()


def summarize(
    found: Mapping[str, Sequence[tuple[Usage, Usage]]], count: int, delay: float
) -> tuple[list[dict], list[Goal]]:
    """Makes rows of the table, and goals, from the result of ``measure``."""
    rows, goals = [], []
    on_disk = median(job.wall for job, _ in found[DISK])
    for place, usages in found.items():
        wall = median(job.wall for job, _ in usages)
        rows.append(
            {
                "place": place,
                "photos": count,
                "seconds": wall,
                "photos/s": count / wall,
                "photos/s to the disk's": on_disk / wall,
                "seconds of the resume": median(resume.wall for _, resume in usages),
                "peak memory, MiB": median(job.peak for job, _ in usages),
            }
        )
        if place != DISK:
            what = f"{place}, {1000 * delay:.0f} ms a request: photos/s to the disk's"
            goals.append(Goal(what, on_disk / wall, ">=", 0.8))
    return rows, goals


def _ellipse(photo: Path) -> Image.Image:
    with Image.open(photo) as image:
        truth = Image.new("L", image.size)
    width, height = truth.size
    box = (width // 4, height // 4, 3 * width // 4, 3 * height // 4)
    ImageDraw.Draw(truth).ellipse(box, fill=255)
    return truth


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; see `--help`."""
    argv = sys.argv[1:] if argv is None else argv
    flags = parser(MODULE, __doc__, rounds=2)
    flags.add_argument("--photos", type=int, default=40, help="number of photos")
    flags.add_argument("--delay", type=float, default=0.05, help="seconds that a request waits")
    arguments = flags.parse_args(argv)
    found = measure(paper_network(), arguments.photos, arguments.delay, arguments.rounds)
    rows, goals = summarize(found, arguments.photos, arguments.delay)
    notes = [
        f"basnet_paper with random weights at {SIDE}², float32; photos of 1 megapixel with truth. "
        f"Medians of whole commands, start-up included; turns of each: {arguments.rounds}."
    ]
    title = "Buckets that answer late"
    publish(Measured(title, rows, goals, notes), MODULE, argv, arguments.output)


if __name__ == "__main__":
    main()
