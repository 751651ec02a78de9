"""Processor time of what surrounds the network, by step, in the checkout that Python imports from.

`benchmarks.surroundings` runs this file, also for a checkout that does not have it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import numpy as np

from model.metrics.pair import compare, describe_mask
from pipeline.images.mask import encode_mask, full_size_mask
from pipeline.images.memory import keep_freed_memory
from pipeline.images.photo import decode_image
from pipeline.images.truth import decode_truth

STEPS = ("decode", "mask", "png", "description", "truth", "comparison")


def measure(folder: Path, output: Path) -> dict[str, dict]:
    """Times the steps of each photo once, after a first time that does not count.

    Args:
        folder: ``NAME.jpg``, ``NAME.npy`` (its map, of the network's size) and ``NAME.png`` (its
            truth) of each photo.
        output: Folder for the masks, ``NAME.npy``.

    Returns:
        By name, milliseconds by step, ``"bytes"`` of the PNG, and ``"figures"`` of the row.
    """
    keep_freed_memory()
    found = {}
    for path in sorted(folder.glob("*.jpg")):
        photo, truth = path.read_bytes(), path.with_suffix(".png").read_bytes()
        probability = np.load(path.with_suffix(".npy"))
        for _ in range(2):
            found[path.stem], mask = _timed(photo, probability, truth)
        np.save(output / f"{path.stem}.npy", mask)
    return found


def _timed(photo: bytes, probability: np.ndarray, truth: bytes) -> tuple[dict, np.ndarray]:
    clocks = [time.process_time()]

    def after(result):
        clocks.append(time.process_time())
        return result

    size = after(decode_image(photo, len(probability))).size
    mask = after(full_size_mask(probability, size, None))
    encoded = after(encode_mask(mask, binary=False))
    description = after(describe_mask(mask))
    decoded = after(decode_truth(truth, size))
    compared = after(compare(mask, decoded))
    values = dict(zip(STEPS, (1000 * np.diff(clocks)).tolist(), strict=True))
    figures = description | compared.values
    return {**values, "bytes": len(encoded), "figures": figures}, mask


if __name__ == "__main__":
    # One thread, as a photo has in a job.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    print(json.dumps(measure(*map(Path, sys.argv[1:]))))
