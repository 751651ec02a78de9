"""Masks, rows, failures and the summary to storage, whole or not at all."""

from __future__ import annotations

import functools
import io
import json
import zlib
from collections.abc import Iterator, Mapping

import apache_beam as beam
import numpy as np
from apache_beam.pvalue import AsSingleton
from PIL import Image

from model.metrics.data_set import DatasetStatistics
from pipeline.job_settings import SUMMARY
from pipeline.records import TAGS, Failure, MetricsRow, Prediction
from pipeline.stages.score import score
from pipeline.stages.threads import CORES, InThreads, room_for
from pipeline.storage.files import OutputLost, write_file

# Soft masks are long runs of slowly changing bytes. Of 1 megapixel, on average: level 6 takes 26 ms
# for 83 kB, level 1 takes 9.3 for 115, and looking for nothing but runs 9.0 for 89.
PNG_LEVEL = 1
PNG_STRATEGY = zlib.Z_RLE
# A mask is made so many pixels at a time, as their floats take four to eight times its memory.
BAND = 1 << 20
# About so many in a file of rows: as many as a worker may sort in memory.
LINES = 50_000


def full_size_mask(
    probability: np.ndarray, size: tuple[int, int], threshold: float | None
) -> np.ndarray:
    """Brings a map to the size of its image.

    Args:
        probability: float32 (S, S) in [0, 1].
        size: (width, height) of the image.
        threshold: Foreground is what reaches it; None keeps probabilities.

    Returns:
        uint8 (height, width): probability x 255, or 0 and 255.
    """
    width, height = size
    side, rows = len(probability), max(1, BAND // width)
    small = Image.fromarray(probability)
    mask = np.empty((height, width), np.uint8)
    for top in range(0, height, rows):
        band = mask[top : top + rows]
        # Rows first: Pillow's own order would make all rows of the map as wide as the image,
        # gigabytes where it is wide and flat.
        box = (0, side * top / height, side, side * (top + len(band)) / height)
        tall = small.resize((side, len(band)), Image.Resampling.BILINEAR, box)
        full = np.asarray(tall.resize((width, len(band)), Image.Resampling.BILINEAR))
        if threshold is not None:
            np.multiply(full >= threshold, np.uint8(255), out=band)
        else:  # An interpolation between 0 and 1 leaves them by less than what is rounded.
            levels = full * np.float32(255)
            band[:] = np.rint(levels, out=levels)
    return mask


def encode_mask(mask: np.ndarray, binary: bool) -> bytes:
    """Encodes a mask, uint8 (H, W), as PNG of 8 bits, or of one bit if it is binary."""
    image = Image.fromarray(mask)
    buffer = io.BytesIO()
    (image.convert("1") if binary else image).save(
        buffer, "PNG", compress_level=PNG_LEVEL, compress_type=PNG_STRATEGY
    )
    return buffer.getvalue()


class WriteMasks(beam.PTransform):
    """``Prediction`` to a mask on storage and a ``MetricsRow``; failures under ``"failures"``.

    Args:
        output: The output folder.
        threshold: Foreground is what reaches it; None writes probabilities.
        ahead: Most predictions that wait to be written.
    """

    def __init__(self, output: str, threshold: float | None, ahead: int):
        super().__init__()
        self.output = output
        self.threshold = threshold
        self.ahead = ahead

    def expand(self, predictions):
        """Writes and scores each prediction by itself."""
        function = functools.partial(write_mask, output=self.output, threshold=self.threshold)
        written = beam.ParDo(InThreads(function, self.ahead, CORES, TAGS, "write", "written"))
        return predictions | written.with_outputs("failures", main="rows")


def write_mask(
    prediction: Prediction, output: str, threshold: float | None
) -> Iterator[MetricsRow | Failure]:
    """Writes a mask at its image's size, and scores it."""
    stage = "write"
    try:
        width, height = prediction.size
        with room_for(width * height):
            mask = full_size_mask(prediction.probability, prediction.size, threshold)
            encoded = encode_mask(mask, binary=threshold is not None)
            write_file(output, prediction.mask, encoded)
            stage = "score"
            row = score(prediction, mask)
        # Not inside: a thread that has yielded waits for its turn, which others may have that wait
        # for the room.
        yield row
    except OutputLost:
        raise
    except Exception as error:
        yield Failure.of(prediction.key, stage, error)


class WriteLines(beam.PTransform):
    """Records with ``key`` and ``to_json`` to files of one line each, in the order of their keys.

    What is written depends on the records alone, not on how a runner groups them.

    Args:
        output: The output folder.
        name: Name of the folder below it and of the files in it, up to their numbers.
    """

    def __init__(self, output: str, name: str):
        super().__init__()
        self.output = output
        self.name = name

    def expand(self, records):
        """Writes at least one file; for no records an empty one, but on S3 (``write_file``)."""
        lines = records | "Line" >> beam.Map(lambda record: (record.key, record.to_json()))
        files = lines | beam.combiners.Count.Globally() | beam.Map(_file_count)
        # Each file has a seed, so that one without a line is written, too.
        seeds = files | "Seed" >> beam.FlatMap(lambda count: [(n, None) for n in range(count)])
        placed = lines | "Place" >> beam.Map(_place, AsSingleton(files))
        return (
            (seeds, placed)
            | beam.Flatten()
            | beam.GroupByKey()
            | "Write" >> beam.Map(_write_lines, AsSingleton(files), self.output, self.name)
        )


def _file_count(lines: int) -> int:
    return max(1, -(-lines // LINES))


def _place(line: tuple[str, str], files: int) -> tuple[int, tuple[str, str]]:
    return zlib.crc32(line[0].encode(errors="surrogatepass")) % files, line


def _write_lines(group: tuple, files: int, output: str, name: str) -> None:
    number, lines = group
    text = "".join(f"{line}\n" for _, line in sorted(filter(None, lines)))
    path = f"{name}/{name}-{number:05d}-of-{files:05d}.jsonl"
    write_file(output, path, text.encode())


def write_summary(
    statistics: DatasetStatistics, failures: Mapping[str, int], bad_truths: int, output: str
) -> None:
    """Writes ``summary.json``.

    Args:
        statistics: Of the images that have a mask.
        failures: Reason to number of the images that have none.
        bad_truths: Number of images whose truth could not be used.
        output: The output folder.
    """
    values = statistics.result()
    done, failed = values.pop("images"), sum(failures.values())
    summary = {
        "images": done + failed,
        "masks": done,
        "failed": failed,
        "failures": dict(sorted(failures.items())),
        "bad_truths": bad_truths,
        **values,
    }
    write_file(output, SUMMARY, json.dumps(summary, indent=2).encode() + b"\n")
