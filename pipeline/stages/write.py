"""Predictions to masks on storage, and to rows of metrics."""

from __future__ import annotations

import functools

import apache_beam as beam
import numpy as np

from pipeline.failures import Attempt, attempt
from pipeline.images.mask import encode_mask, full_size_mask
from pipeline.images.memory import room_for
from pipeline.images.open_safely import MAX_PIXELS
from pipeline.records import MetricsRow, Prediction
from pipeline.stages.outcomes import Outcome, split_attempts
from pipeline.stages.score import score
from pipeline.stages.threads import InThreads
from pipeline.storage.files import write_file


class WriteAndScore(beam.PTransform):
    """``Prediction`` to a mask on storage and a ``MetricsRow``.

    Both in one stage, so that no mask at full size passes from one stage to the next.

    Args:
        output: The output folder.
        threshold: Foreground is what reaches it; None writes probabilities.
        window: Most predictions that wait to be written.
        processes: As for ``InThreads``.
        max_pixels: Most pixels of a ground truth.
    """

    def __init__(
        self,
        output: str,
        threshold: float | None,
        window: int,
        processes: int,
        max_pixels: int,
    ):
        super().__init__()
        self.max_pixels = max_pixels
        self.output = output
        self.threshold = threshold
        self.window = window
        self.processes = processes

    def expand(self, predictions) -> Outcome:
        """Writes and scores each prediction by itself."""
        function = functools.partial(
            write_and_score,
            output=self.output,
            threshold=self.threshold,
            max_pixels=self.max_pixels,
        )
        threads = InThreads(function, self.window, "write", "written", self.processes)
        return split_attempts(predictions, "InThreads", threads)


def write_and_score(
    prediction: Prediction, output: str, threshold: float | None, max_pixels: int = MAX_PIXELS
) -> Attempt[MetricsRow]:
    """Writes the mask of a prediction, then scores it as it was written."""
    width, height = prediction.size
    key = prediction.item.key
    with room_for(width * height):
        written = attempt("write", key, write_mask, prediction, output, threshold)
        if written.failure is not None:
            return written
        return attempt("score", key, score, prediction.item, written.result, max_pixels)


def write_mask(prediction: Prediction, output: str, threshold: float | None) -> np.ndarray:
    """Writes the mask of a prediction at the size of its image.

    Args:
        prediction: A map at the network's size.
        output: The output folder.
        threshold: Foreground is what reaches it; None writes probabilities.

    Returns:
        The mask that was written, uint8 (height, width).

    Raises:
        OutputLost: Nothing can be written to the output folder.
        OSError: This mask could not be written.
    """
    mask = full_size_mask(prediction.probability, prediction.size, threshold)
    encoded = encode_mask(mask, binary=threshold is not None)
    write_file(output, prediction.item.mask, encoded)
    return mask
