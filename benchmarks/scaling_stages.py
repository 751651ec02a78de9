"""Processor seconds of one image in each stage, measured on the functions that the stages call."""

from __future__ import annotations

import io
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import mean

import numpy as np
from PIL import Image

from benchmarks.machine import CORES
from benchmarks.photos import make_photos
from model.inference.load import load_model
from model.inference.segmenter import Segmenter
from model.metrics.pair import compare, describe_mask
from pipeline.images.mask import encode_mask, full_size_mask
from pipeline.images.memory import keep_freed_memory
from pipeline.images.photo import decode_image
from pipeline.images.truth import decode_truth
from pipeline.job_settings import Job

# The photos of the bundled sample; each is measured, as they differ.
PHOTOS = 11


def truth_of(size: tuple[int, int]) -> bytes:
    """A mask as a PNG: an ellipse in the middle of an image of this size."""
    width, height = size
    y, x = np.ogrid[:height, :width]
    inside = ((x / width - 0.5) / 0.3) ** 2 + ((y / height - 0.5) / 0.35) ** 2 < 1
    file = io.BytesIO()
    Image.fromarray((inside * 255).astype(np.uint8)).save(file, "png")
    return file.getvalue()


def network_seconds(sides: Sequence[int], least: float) -> dict[float, float]:
    """Processor seconds of the bundled network for one image, by the side of its square."""
    found = {}
    rng = np.random.default_rng(0)
    for side in sides:
        network = Segmenter(load_model(Job.model), side, Job.batch_size)
        batch = rng.integers(0, 256, (Job.batch_size, side, side, 3), np.uint8)
        network(batch)
        start, times = time.process_time(), 0
        while times == 0 or time.process_time() - start < least:
            network(batch)
            times += 1
        found[side] = (time.process_time() - start) / (times * Job.batch_size)
    return found


def stage_costs(sizes: Sequence[float], least: float) -> dict[str, dict[float, float]]:
    """Costs of the stages around the network, by the megapixels of the photos.

    All cores work at a time, as in a job, where they share caches and memory.

    Args:
        sizes: Megapixels to measure at.
        least: Processor seconds that each is measured for, at least.
    """
    keep_freed_memory()
    network = Segmenter(load_model(Job.model), Job.image_size, 1)
    costs: dict[str, dict[float, float]] = {}
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(CORES) as pool:
        for size in sizes:
            paths = make_photos(Path(folder, str(size)), PHOTOS, size)
            for name, cost in _costs_at(paths, network, pool, least).items():
                costs.setdefault(name, {})[size] = cost
    return costs


def _costs_at(
    paths: Sequence[Path], network: Segmenter, pool: ThreadPoolExecutor, least: float
) -> dict[str, float]:
    def cost(function: Callable, items: Sequence) -> float:
        return _seconds(pool, function, items, least)

    photos = [path.read_bytes() for path in paths]
    costs = {"decode": cost(lambda photo: decode_image(photo, Job.image_size), photos)}
    decoded = [decode_image(photo, Job.image_size) for photo in photos]
    maps = [(network(photo.pixels[None])[0], photo.size) for photo in decoded]
    costs["mask"] = cost(lambda pair: full_size_mask(*pair, None), maps)
    masks = [full_size_mask(*pair, None) for pair in maps]
    costs["png"] = cost(lambda mask: encode_mask(mask, binary=False), masks)
    costs["description"] = cost(describe_mask, masks)
    truths = [(mask, truth_of(mask.shape[::-1])) for mask in masks]
    costs["truth"] = cost(_compare, truths)
    costs["photo bytes"] = mean(os.path.getsize(path) for path in paths)
    costs["mask bytes"] = mean(len(encode_mask(mask, binary=False)) for mask in masks)
    return costs


def _compare(pair: tuple[np.ndarray, bytes]) -> object:
    mask, truth = pair
    return compare(mask, decode_truth(truth, mask.shape[::-1]))


def _seconds(pool: ThreadPoolExecutor, function: Callable, items: Sequence, least: float) -> float:
    function(items[0])
    start, passes = time.process_time(), 0
    while passes == 0 or time.process_time() - start < least:
        list(pool.map(function, items))
        passes += 1
    return (time.process_time() - start) / (passes * len(items))
