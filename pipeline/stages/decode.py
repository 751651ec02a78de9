"""Photos to pixels for the network, each in a thread of its own."""

from __future__ import annotations

import functools
from dataclasses import replace

import apache_beam as beam

from pipeline.failures import Attempt, BadImage, attempt
from pipeline.images.open_safely import MAX_PIXELS
from pipeline.images.photo import decode_image
from pipeline.job_settings import Job
from pipeline.records import DecodedImage, ImageRecord
from pipeline.stages.outcomes import Outcome, split_attempts
from pipeline.stages.threads import InThreads
from pipeline.storage.tfrecord import is_head


class DecodeImages(beam.PTransform):
    """``ImageRecord`` to ``DecodedImage``.

    Args:
        job: The settings.
        window: Most images that are decoded before the network takes them.
    """

    def __init__(self, job: Job, window: int):
        super().__init__()
        self.job = job
        self.window = window

    def expand(self, records) -> Outcome:
        """Decodes each record by itself."""
        job = self.job
        function = functools.partial(
            decode,
            size=job.image_size,
            max_pixels=job.max_pixels,
            keep=job.needs_photo,
            resize=job.resize,
        )
        threads = InThreads(function, self.window, "decode", "decoded", job.processes)
        return split_attempts(records, "InThreads", threads)


def decode(
    record: ImageRecord,
    size: int,
    max_pixels: int = MAX_PIXELS,
    keep: bool = False,
    resize: str = "bilinear",
) -> Attempt[DecodedImage]:
    """Decodes a photo for the network; see ``decode_image``.

    Args:
        record: The photo.
        size: Side of the square that the network takes, in pixels.
        max_pixels: Most pixels of an image.
        keep: Whether the encoded photo goes on, too.
        resize: As of ``decode_image``.
    """
    return attempt("decode", record.item.key, _decoded, record, size, max_pixels, keep, resize)


def _decoded(
    record: ImageRecord, size: int, max_pixels: int, keep: bool, resize: str
) -> DecodedImage:
    if is_head(record.image):
        raise BadImage(
            "unsupported", "a TFRecord shard by its first bytes; --input_format tfrecord reads it"
        )
    photo = decode_image(record.image, size, max_pixels, resize)
    kept = record.image if keep else b""
    item = replace(record.item, guess=photo.guess, photo=kept)
    return DecodedImage(item, photo.pixels, photo.size)
