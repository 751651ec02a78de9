"""What a job would take: a few of its images are annotated here, and the rest is arithmetic.

The images that are tried are read, and what is made of them goes to a temporary folder. It is a
guess from few, and it is said as one: as a range, with what it does not know.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ParamSpec, TypeVar

import numpy as np

from pipeline.command.endings import last_line
from pipeline.job_settings import Job
from pipeline.records import Chunk, DecodedImage, ImageRecord, ListedFile, Source
from pipeline.stages.decode import decode
from pipeline.stages.load import read_source
from pipeline.stages.load_network import network_of
from pipeline.stages.segment import segment
from pipeline.stages.threads import usable_cores
from pipeline.stages.write import write_and_score
from pipeline.storage.mask_parts import EncodedMask
from pipeline.storage.patterns import format_of, is_shard
from pipeline.storage.raw_records import fields_of

# Images that are tried.
TRIED = 8

BYTES = (("bytes", 1000), ("kB", 1000), ("MB", 1000), ("GB", 1000), ("TB", 1000))
SECONDS = (("s", 60), ("min", 60), ("h", 60))

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Tried:
    """What one image took.

    Attributes:
        seconds: On the clock, one step after the other.
        processor: Seconds of processors, those of all threads together.
        read: Bytes of the encoded image.
        written: Bytes of what was made of it.
    """

    seconds: float
    processor: float
    read: int
    written: int


def estimate(job: Job, files: Sequence[ListedFile], workers: str | None) -> list[str]:
    """Lines for people: bytes of the input, and time and disk that are expected.

    Args:
        job: A job that was checked, with a network.
        files: The image files and shards that patterns name.
        workers: The workers, where they may be on other machines.
    """
    shards = [file for file in files if is_shard(file.path, job.input_format)]
    images = [file for file in files if not is_shard(file.path, job.input_format)]
    lines = [f"size     {in_words(sum(file.size for file in files), BYTES)}"]
    try:
        tried, loading = try_out(job, images, shards)
    except Exception as error:
        # A plan says what it knows. The job meets the error again, or does not.
        return [*lines, f"expect   not known: {last_line(error)}"]
    if not tried:
        return [*lines, "expect   not known: none of the images that were tried has a mask"]
    count, about = len(images), ""
    if shards:
        # Packed shards hold more than their size says, and Parquet and tars more than images.
        each = float(np.mean([one.read for one in tried]))
        count, about = count + round(sum(file.size for file in shards) / each), "about "
    return [*lines, *expected(job, tried, loading, count, about, workers)]


def expected(
    job: Job, tried: Sequence[Tried], loading: float, count: int, about: str, workers: str | None
) -> list[str]:
    """The lines on time and disk.

    Args:
        job: The job.
        tried: What some of its images took.
        loading: Seconds that loading the network took.
        count: How many images there are.
        about: ``"about "`` where that is a guess itself.
        workers: As for ``estimate``.
    """
    processor = count * float(np.mean([one.processor for one in tried]))
    clock = count * float(np.mean([one.seconds for one in tried]))
    if workers is not None:
        takes = f"{in_words(processor, SECONDS)} of a processor such as this machine's"
    else:
        cores = usable_cores()
        # With all cores busy, and with one step after the other.
        low, high = (in_words(one, SECONDS) for one in sorted((processor / cores, clock)))
        takes = (
            f"{low} to {high} on {cores} cores as busy as they are now, and "
            f"{in_words(loading, SECONDS)} to load the network"
        )
    written = [one.written for one in tried]
    least, most = (in_words(one, BYTES) for one in (min(written), max(written)))
    return [
        f"expect   {takes}, for {about}{count} images; by {len(tried)} that were tried here",
        f"         without {_left_out(job)}",
        f"disk     about {in_words(count * float(np.mean(written)), BYTES)}, {least} to {most} for "
        "each image that was tried, and the rows",
    ]


def try_out(
    job: Job, images: Sequence[ListedFile], shards: Sequence[ListedFile]
) -> tuple[list[Tried], float]:
    """Annotates a few images; also returns the seconds that the network took to load.

    Those that fail are left out, as in the job.

    Raises:
        Exception: Storage or network fail.
    """
    records = list(itertools.islice(_readable(job, images, shards), TRIED))
    ways = [_timed(_decoded, record, job) for record in records]
    decoded = [image for image, *_ in ways if image is not None]
    if not decoded:
        return [], 0.0
    with tempfile.TemporaryDirectory(prefix="basnet-annotator-") as folder:
        job = replace(job, output=folder, require_gpu=False)
        network, loading, _ = _timed(network_of(job))
        # The first batch takes longer, so that another one is timed.
        maps = {one.result.item.key: one.result for one in segment(decoded, network) if one.result}
        blank = np.zeros((job.batch_size, job.image_size, job.image_size, 3), np.uint8)
        _, *of_batch = _timed(network, blank)
        found = []
        for record, (image, *of_decode) in zip(records, ways, strict=True):
            if image is None or record.item.key not in maps:
                continue
            before = _size(folder)
            made, *of_write = _timed(write_and_score, maps[record.item.key], job)
            if made.failure is None:
                held = made.result.size if isinstance(made.result, EncodedMask) else 0
                seconds, processor = (
                    one + other + batch / job.batch_size
                    for one, other, batch in zip(of_decode, of_write, of_batch, strict=True)
                )
                written = _size(folder) - before + held
                found.append(Tried(seconds, processor, len(record.image), written))
    return found, loading


def _decoded(record: ImageRecord, job: Job) -> DecodedImage | None:
    return decode(record, job.image_size, job.max_pixels, job.needs_photo).result


def _readable(
    job: Job, images: Sequence[ListedFile], shards: Sequence[ListedFile]
) -> Iterator[ImageRecord]:
    """Images from all over the input; of shards, the first of each."""
    step = max(1, len(images) // TRIED)
    sources = [Source(file.path, file.key, f"{n}.png") for n, file in enumerate(images[::step])]
    few = shards[:: max(1, len(shards) // TRIED)]
    each = -(-TRIED // max(1, len(few)))
    for source in sources:
        yield from _results(read_source(source))
    for number, file in enumerate(few):
        chunk = Chunk(form=format_of(file.path, job.input_format))
        source = Source(file.path, file.key, str(number), chunk=chunk)
        yield from _results(itertools.islice(read_source(source, fields=fields_of(job)), each))


def _results(attempts) -> Iterator[ImageRecord]:
    for one in attempts:
        if one.failure is None:
            # A truth would be scored; what that takes is said to be left out.
            yield replace(one.result, item=replace(one.result.item, truth=None))


def _timed(function: Callable[P, T], *arguments: P.args) -> tuple[T, float, float]:
    """What a function returns, and its seconds: on the clock, and of processors."""
    clock, processor = time.perf_counter(), time.process_time()
    result = function(*arguments)
    return result, time.perf_counter() - clock, time.process_time() - processor


def _left_out(job: Job) -> str:
    parts = {
        "reading from where the images are": True,
        "metrics of ground truth": job.truth is not None,
        "annotations": bool(job.annotations),
        "what --resume keeps": job.resume,
    }
    *first, last = [name for name, is_so in parts.items() if is_so]
    return f"{', '.join(first)} and {last}" if first else last


def _size(folder: str) -> int:
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())


def in_words(number: float, units: Sequence[tuple[str, float]]) -> str:
    """A number of the smallest of some units, in one or two digits or more.

    Args:
        number: The number.
        units: Each unit, and how many of it are one of the next.
    """
    place = 0
    while place < len(units) - 1 and number >= units[place][1]:
        number, place = number / units[place][1], place + 1
    digits = 0 if number >= 10 or units[place][0] == "bytes" else 1
    return f"{number:.{digits}f} {units[place][0]}"
