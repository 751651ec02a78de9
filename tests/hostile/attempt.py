"""Decodes every hostile image, in a process whose memory can be told from the tests'."""

import re
import resource
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.failures import BadImage
from pipeline.images.photo import decode_image
from pipeline.images.truth import decode_mask, decode_truth
from tests.hostile.images import hostile_images


@dataclass(frozen=True)
class Attempt:
    """What became of an image.

    Attributes:
        kind: What is wrong with it.
        function: What was to decode it.
        outcome: ``"decoded"``, the reason of a ``BadImage``, or the name of another exception.
        largest: Values in the array that came back.
        seconds: Of the processor.
        growth: MiB that the process took at its peak more than before.
    """

    kind: str
    function: str
    outcome: str
    largest: int
    seconds: float
    growth: float


def attempt_all() -> list[Attempt]:
    """Tries each image with each function."""
    images = list(hostile_images())
    return [
        attempt(kind, data, function, arguments)
        for kind, _, data in images
        for function, arguments in (
            (decode_image, (32,)),
            (decode_mask, ()),
            (decode_truth, ((4, 4),)),
        )
    ]


def attempt(kind: str, data: bytes, function, arguments) -> Attempt:
    """Tries one image with one function."""
    start, peak, values = time.process_time(), peak_memory(), 0
    try:
        decoded = function(data, *arguments)
        array = decoded if isinstance(decoded, np.ndarray) else decoded[0]
        outcome, values = "decoded", array.size
        assert array.dtype in (np.uint8, bool)
        del decoded, array
    except BadImage as error:
        outcome = error.reason
    except BaseException as error:
        outcome = type(error).__name__
    seconds = time.process_time() - start
    return Attempt(kind, function.__name__, outcome, values, seconds, peak_memory() - peak)


def peak_memory() -> float:
    """MiB that this process had in memory at its peak so far."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.search(r"VmHWM:\s+(\d+)", status.read_text())[1]) / 2**10
    # On Linux it would count what the process that started this one had in memory.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
