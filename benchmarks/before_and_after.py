"""Times `run_pipeline.py` of two checkouts in turns, and compares what they write.

python -m benchmarks.before_and_after --before FOLDER --after FOLDER

Both get the same photos and the Python that runs this command. Each has its own checkout first on
its path, so that an installed copy of the package is not used. A short job of each comes first, so
that no turn reads programs from disk. Exits with 1 if the outputs differ.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.photos import link_first, make_photos
from benchmarks.results_files import Measured, parser, publish
from benchmarks.timed_commands import Usage, run
from benchmarks.turns import alternate

MODULE = "benchmarks.before_and_after"
COMPARED = ("masks", "metrics")


@dataclass(frozen=True)
class Job:
    """One run of a checkout.

    Attributes:
        usage: Its time and memory.
        files: Digest of every file of the folders in `COMPARED`, by path below the output folder.
    """

    usage: Usage
    files: Mapping[str, str]


def run_checkout(checkout: Path, photos: Path) -> Job:
    """Runs the `run_pipeline.py` of a checkout.

    Args:
        checkout: Folder that holds `run_pipeline.py`.
        photos: Folder of image files.

    Raises:
        subprocess.CalledProcessError: The command failed.
        RuntimeError: The command did not write one mask for each photo.
    """
    path = [str(checkout), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
    with tempfile.TemporaryDirectory() as output:
        command = [sys.executable, "run_pipeline.py", "--input", photos, "--output", output]
        usage = run(command, checkout, environment)
        files = digests(Path(output))
    masks = sum(name.startswith("masks/") for name in files)
    if masks != len(list(photos.iterdir())):
        raise RuntimeError(f"{checkout} wrote {masks} masks:\n{usage.text}")
    return Job(usage, files)


def digests(output: Path) -> dict[str, str]:
    """Returns the SHA-256 of each file in the folders of `COMPARED`, by its path below `output`."""
    files = [file for name in COMPARED for file in output.glob(f"{name}/**/*") if file.is_file()]
    return {
        str(file.relative_to(output)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(files)
    }


def comparison(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str]:
    """Says for each folder of `COMPARED` whether two outputs are equal byte for byte.

    Args:
        before: Digests of the files of one output, by path.
        after: Those of the other.

    Returns:
        A sentence by folder. It begins with "equal" only if the folders are equal.
    """
    sentences = {}
    for folder in COMPARED:
        names = [name for name in sorted({*before, *after}) if name.startswith(f"{folder}/")]
        unlike = [name for name in names if before.get(name) != after.get(name)]
        sentences[folder] = f"equal, {len(names)} files"
        if unlike:
            sentences[folder] = f"{len(unlike)} of {len(names)} files differ, first {unlike[0]}"
    return sentences


def rows(jobs: Mapping[str, Sequence[Job]]) -> list[dict]:
    """Makes the table of medians, and of their ratios, from the jobs of each checkout."""
    wall = {who: median(job.usage.wall for job in jobs[who]) for who in jobs}
    processor = {who: median(job.usage.processor for job in jobs[who]) for who in jobs}
    return [
        {
            "checkout": who,
            "seconds": wall[who],
            "processor seconds": processor[who],
            "seconds to before's": wall[who] / wall["before"],
            "processor seconds to before's": processor[who] / processor["before"],
        }
        for who in jobs
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit status; see `--help`."""
    argv = sys.argv[1:] if argv is None else argv
    flags = parser(MODULE, __doc__, rounds=3)
    flags.add_argument("--before", type=Path, required=True, help="checkout of the project")
    flags.add_argument("--after", type=Path, required=True, help="another checkout")
    flags.add_argument("--photos", type=int, default=1000, help="number of photos")
    flags.add_argument("--megapixels", type=float, default=1.0, help="size of each photo")
    arguments = flags.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder, "photos")
        paths = make_photos(photos, arguments.photos, arguments.megapixels)
        link_first(paths, 1, Path(folder, "one"))
        checkouts = {"before": arguments.before.resolve(), "after": arguments.after.resolve()}
        for path in checkouts.values():
            run_checkout(path, Path(folder, "one"))
        turns = {who: partial(run_checkout, path, photos) for who, path in checkouts.items()}
        jobs = alternate(turns, arguments.rounds)
    compared = [
        comparison(before.files, after.files)
        for before, after in zip(jobs["before"], jobs["after"], strict=True)
    ]
    notes = [
        f"Medians of whole commands on {arguments.photos} photos of {arguments.megapixels:g} "
        f"megapixels; turns of each: {arguments.rounds}."
    ]
    notes += [
        f"{folder}/ in each round: " + "; ".join(dict.fromkeys(each[folder] for each in compared))
        for folder in COMPARED
    ]
    publish(Measured("Before and after", rows(jobs), [], notes), MODULE, argv, arguments.output)
    same = all(text.startswith("equal") for each in compared for text in each.values())
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
