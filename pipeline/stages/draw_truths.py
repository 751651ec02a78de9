"""An annotation file of a label tool to ground truths.

Each image's annotation is drawn once and written as a PNG below the output folder, by the worker
that reads the file. From there on it is a truth like any other: nothing but its path travels, and a
resumed run knows by its digest whether an annotator has changed it.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator

import apache_beam as beam
import numpy as np
from apache_beam.io.filesystems import FileSystems

from model.annotations.drawings import BadDrawing, Drawing, Remark, draw, unusable
from model.annotations.read import read_annotations
from pipeline.failures import Attempt, InputLost, attempt
from pipeline.images.mask import encode_mask
from pipeline.images.memory import room_for
from pipeline.job_settings import Job
from pipeline.output_layout import TRUTH
from pipeline.records import ListedFile, Note
from pipeline.stages.outcomes import InputOutcome, split_attempts
from pipeline.stages.threads import InThreads
from pipeline.storage.files import local_copy, write_file

# Enough to keep the threads busy while the file is read.
WINDOW = 8


class DrawTruths(beam.PTransform):
    """The annotation file of a job to the ``ListedFile`` of each image's truth.

    The name of such a file is what the annotation file calls the image.

    Args:
        job: The settings.
    """

    def __init__(self, job: Job):
        super().__init__()
        self.job = job

    def expand(self, begin) -> InputOutcome:
        """Reads the file, draws, writes."""
        job = self.job
        function = functools.partial(draw_truth, output=job.output, max_pixels=job.max_pixels)
        threads = InThreads(function, WINDOW, "draw", "drawn", job.processes)
        drawings = begin | beam.Create([job.truth]) | "Read" >> beam.FlatMap(read_drawings)
        drawn = split_attempts(drawings, "Draw", threads)
        files, notes = drawn.results | beam.Partition(lambda one, _: int(isinstance(one, Note)), 2)
        return InputOutcome(files, drawn.failures, notes)


def read_drawings(path: str) -> Iterator[tuple[int, Drawing | Remark]]:
    """What an annotation file says, numbered.

    Raises:
        InputLost: It cannot be read, or is none.
    """
    with local_copy(path) as file:
        try:
            yield from enumerate(read_annotations(file))
        except ValueError as error:
            raise InputLost(f"--truth {path} cannot be read: {error}") from error


def draw_truth(
    numbered: tuple[int, Drawing | Remark], output: str, max_pixels: int
) -> Attempt[ListedFile | Note]:
    """Writes the truth of an image.

    Args:
        numbered: What the annotation file says of it, and its number there.
        output: The output folder.
        max_pixels: Most pixels of an image.

    Returns:
        The truth, or what there is to say if it has none.
    """
    number, one = numbered
    if isinstance(one, Remark):
        return Attempt(Note(one.kind, one.example))
    return attempt("read", one.name, _write, number, one, output, max_pixels)


def _write(number: int, drawing: Drawing, output: str, max_pixels: int) -> ListedFile | Note:
    width, height = drawing.size
    try:
        with room_for(width * height):
            mask = draw(drawing, max_pixels)
            encoded = encode_mask(mask * np.uint8(255), binary=True)
    except BadDrawing as error:
        remark = unusable(error, drawing.name)
        return Note(remark.kind, remark.example)
    # By number: names may be the same, or none that a disk takes.
    name = f"{TRUTH}/{number // 1000:05d}/{number:08d}.png"
    write_file(output, name, encoded)
    path, digest = FileSystems.join(output, name), hashlib.blake2b(encoded, digest_size=16)
    folder = FileSystems.join(output, TRUTH) + "/"
    return ListedFile(path, folder, len(encoded), digest.hexdigest(), drawing.name)
