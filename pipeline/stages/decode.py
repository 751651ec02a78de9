"""Photos to pixels for the network, each in a thread of its own."""

from __future__ import annotations

import functools
from dataclasses import replace

import apache_beam as beam

from pipeline.failures import Attempt, BadImage, attempt
from pipeline.images.open_safely import MAX_PIXELS
from pipeline.images.photo import decode_image
from pipeline.records import DecodedImage, ImageRecord
from pipeline.stages.outcomes import Outcome, split_attempts
from pipeline.stages.threads import InThreads
from pipeline.storage.tfrecord import is_head


class DecodeImages(beam.PTransform):
    """``ImageRecord`` to ``DecodedImage``.

    Args:
        size: Side of the square that the network takes, in pixels.
        window: Most images that are decoded before the network takes them.
        processes: As for ``InThreads``.
        max_pixels: Most pixels of an image.
    """

    def __init__(self, size: int, window: int, processes: int, max_pixels: int):
        super().__init__()
        self.size = size
        self.window = window
        self.processes = processes
        self.max_pixels = max_pixels

    def expand(self, records) -> Outcome:
        """Decodes each record by itself."""
        function = functools.partial(decode, size=self.size, max_pixels=self.max_pixels)
        threads = InThreads(function, self.window, "decode", "decoded", self.processes)
        return split_attempts(records, "InThreads", threads)


def decode(record: ImageRecord, size: int, max_pixels: int = MAX_PIXELS) -> Attempt[DecodedImage]:
    """Decodes a photo for the network; see ``decode_image``."""
    return attempt("decode", record.item.key, _decoded, record, size, max_pixels)


def _decoded(record: ImageRecord, size: int, max_pixels: int) -> DecodedImage:
    if is_head(record.image):
        raise BadImage(
            "unsupported", "a TFRecord shard by its first bytes; --input_format tfrecord reads it"
        )
    photo = decode_image(record.image, size, max_pixels)
    return DecodedImage(replace(record.item, guess=photo.guess), photo.pixels, photo.size)
