"""Training batches, made ahead by other processes.

A batch depends on the pairs, the seed and the step alone. So an interrupted run continues with
the batches that it would have seen (on another processor, up to rounding).
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial

import numpy as np

from model.training.augmentation import augment, degrade, paste
from model.training.pairs import Pair, draw_shares, load_pair


def make_batch(
    pairs: Sequence[Pair], *, batch_size: int, resize: int, crop: int, seed: int, step: int
) -> tuple[np.ndarray, np.ndarray]:
    """Makes the batch of one step.

    Pairs are drawn by their weights, with replacement. An image is resized to a square whose side
    lies anywhere between ``crop`` and ``resize``. One image in four gets the object of another.

    Args:
        pairs: The pairs to draw from.
        batch_size: Number N of crops.
        resize: Largest side in pixels of the squares that crops are taken from.
        crop: Side of the crops in pixels.
        seed: Seed of the run.
        step: Number of the step. Seed and step decide every random choice.

    Returns:
        Images, uint8 (N, crop, crop, 3), and masks, uint8 (N, crop, crop, 1), 255 for the object.

    Raises:
        ValueError: An image cannot be read, see ``load_pair``.
    """
    rng = np.random.default_rng((seed, step))
    shares = draw_shares(pairs)

    def draw() -> tuple[np.ndarray, np.ndarray]:
        pair = pairs[rng.choice(len(pairs), p=shares)]
        side = int(rng.integers(crop, resize + 1))
        return augment(*load_pair(pair, side), crop, rng)

    images = np.empty((batch_size, crop, crop, 3), "uint8")
    masks = np.empty((batch_size, crop, crop, 1), "uint8")
    for index in range(batch_size):
        image, mask = draw()
        if rng.random() < 0.25:
            image, mask = paste(*draw(), image, mask)
        images[index] = degrade(image, rng)
        masks[index, ..., 0] = mask
    return images, masks


def batches(
    pairs: Sequence[Pair], steps: range, *, batch_size: int, resize: int, crop: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields the batches of given steps in order; processes make them ahead.

    Args:
        pairs: As for ``make_batch``.
        steps: The steps.
        batch_size: As for ``make_batch``.
        resize: As for ``make_batch``.
        crop: As for ``make_batch``.
        seed: As for ``make_batch``.

    Yields:
        What ``make_batch`` returns for each step.

    Raises:
        ValueError: An image cannot be read, see ``load_pair``.
        OSError: One of the processes was killed.
    """
    affine = getattr(os, "sched_getaffinity", None)
    cores = len(affine(0)) if affine else os.cpu_count() or 1
    # Two cores are left to the network. Fourteen workers fed a GPU 1,400 crops of 192² a second.
    workers = min(16, max(1, cores - 2))
    make = partial(_make, batch_size=batch_size, resize=resize, crop=crop, seed=seed)
    pool = ProcessPoolExecutor(
        workers,
        # Forking is unsafe: the threads that run the network may hold locks.
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(pairs,),
    )
    waiting: deque = deque()
    try:
        for step in steps:
            waiting.append(pool.submit(make, step))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise OSError(
            "a process that makes batches did not start or was killed; is memory short?"
        ) from None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


_worker_pairs: Sequence[Pair] = ()


def _start_worker(pairs: Sequence[Pair]) -> None:
    global _worker_pairs
    _worker_pairs = pairs
    # Ctrl-C reaches all processes; the parent handles it and shuts the pool down.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Ends this process when its parent is gone; otherwise it would wait for work for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _make(step: int, **drawing: int) -> tuple[np.ndarray, np.ndarray]:
    return make_batch(_worker_pairs, step=step, **drawing)
