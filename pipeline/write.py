"""Masks, rows, failures and the summary to storage, whole or not at all."""

from __future__ import annotations

import contextlib
import io
import json
import time
import uuid
from collections.abc import Iterator, Mapping

import apache_beam as beam
import numpy as np
from apache_beam.io.filesystems import FileSystems
from apache_beam.metrics import Metrics
from apache_beam.pvalue import TaggedOutput
from PIL import Image

from pipeline.job import SUMMARY
from pipeline.records import Failure, MetricsRow, Prediction
from pipeline.score import score
from pipeline.summary import DatasetStatistics

# Level 6 takes three times as long as level 1 for files that are a fifth smaller.
PNG_LEVEL = 1


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
    full = Image.fromarray(probability).resize(size, Image.Resampling.BILINEAR)
    probabilities = np.asarray(full)
    if threshold is not None:
        return np.where(probabilities >= threshold, np.uint8(255), np.uint8(0))
    return np.rint(probabilities * 255).clip(0, 255).astype(np.uint8)


def encode_mask(mask: np.ndarray, binary: bool) -> bytes:
    """Encodes a mask, uint8 (H, W), as PNG of 8 bits, or of one bit if it is binary."""
    image = Image.fromarray(mask)
    buffer = io.BytesIO()
    (image.convert("1") if binary else image).save(buffer, "PNG", compress_level=PNG_LEVEL)
    return buffer.getvalue()


def write_file(path: str, data: bytes) -> None:
    """Writes a file on any Beam filesystem, so that no part of it is ever seen under its name."""
    temporary = f"{path}.{uuid.uuid4().hex}.tmp"
    try:
        with FileSystems.create(
            temporary, "application/octet-stream", compression_type="uncompressed"
        ) as file:
            file.write(data)
        FileSystems.rename([temporary], [path])
    except Exception:
        # Nothing may be there to delete; [ would be read as a pattern.
        with contextlib.suppress(Exception):
            FileSystems.delete([temporary.replace("[", "[[]")])
        raise


class WriteMasks(beam.PTransform):
    """``Prediction`` to a mask on storage and a ``MetricsRow``; failures under ``"failures"``.

    Args:
        output: The output folder.
        threshold: Foreground is what reaches it; None writes probabilities.
    """

    def __init__(self, output: str, threshold: float | None):
        super().__init__()
        self.output = output
        self.threshold = threshold

    def expand(self, predictions):
        """Writes and scores each prediction by itself."""
        written = beam.ParDo(_Write(self.output, self.threshold))
        return predictions | written.with_outputs("failures", main="rows")


class _Write(beam.DoFn):
    def __init__(self, output: str, threshold: float | None):
        self.output = output
        self.threshold = threshold
        self.seconds = Metrics.distribution("images", "write_microseconds")

    def process(self, prediction: Prediction) -> Iterator[MetricsRow]:
        stage, start = "write", time.perf_counter()
        try:
            mask = full_size_mask(prediction.probability, prediction.size, self.threshold)
            encoded = encode_mask(mask, binary=self.threshold is not None)
            write_file(FileSystems.join(self.output, prediction.mask), encoded)
            self.seconds.update(int(1e6 * (time.perf_counter() - start)))
            stage = "score"
            yield score(prediction.key, prediction.mask, mask, prediction.truth)
        except Exception as error:
            yield TaggedOutput("failures", Failure.of(prediction.key, stage, error))


class WriteLines(beam.PTransform):
    """Records with ``to_json`` to files of one line each.

    Args:
        prefix: Path of the files, up to their numbers.
    """

    def __init__(self, prefix: str):
        super().__init__()
        self.prefix = prefix

    def expand(self, records):
        """Writes at least one file, an empty one for no records."""
        return (
            records
            | beam.Map(lambda record: record.to_json())
            | beam.io.WriteToText(self.prefix, file_name_suffix=".jsonl")
        )


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
    write_file(FileSystems.join(output, SUMMARY), json.dumps(summary, indent=2).encode() + b"\n")
