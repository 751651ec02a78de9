"""Images and masks for training: found in folders, split, cut to crops, disturbed and batched.

Every batch is a pure function of the pairs, the seed and the step, so that a run that was
interrupted goes on with the very batches that it would have seen (on another processor, within
rounding).
"""

from __future__ import annotations

import hashlib
import io
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter, ImageOps

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


@dataclass(frozen=True)
class Pair:
    """One image and its mask.

    Attributes:
        name: `<folder>/<stem>`, which also decides whether the pair is held out.
        image: the image file.
        mask: the mask file, white where the object is.
        weight: how often the pair is drawn, in relation to the others.
    """

    name: str
    image: Path
    mask: Path
    weight: float = 1.0


def find_pairs(folder: Path, weight: float = 1.0) -> list[Pair]:
    """Pairs of `folder/images/*` and `folder/masks/*` with the same stem, in the order of names.

    Args:
        folder: a folder that holds `images/` and `masks/`; masks without an image are left alone.
        weight: the weight of each of its pairs.

    Returns:
        At least one pair.

    Raises:
        ValueError: if there is no image, or an image without a mask, which is named.
    """
    if weight <= 0:
        raise ValueError(f"the weight of {folder} must be positive, got {weight}")
    masks = {path.stem: path for path in _pictures(folder / "masks")}
    pairs = []
    for image in _pictures(folder / "images"):
        if image.stem not in masks:
            raise ValueError(f"{image} has no mask {folder / 'masks' / image.stem}.png")
        name = f"{folder.resolve().name}/{image.stem}"
        pairs.append(Pair(name, image, masks[image.stem], weight))
    if not pairs:
        raise ValueError(f"no images in {folder / 'images'}; known are {', '.join(SUFFIXES)}")
    return pairs


def split_pairs(pairs: Sequence[Pair], fraction: float) -> tuple[list[Pair], list[Pair]]:
    """Splits pairs into those to train on and those to validate with.

    Args:
        pairs: all pairs.
        fraction: expected share of the held-out pairs, in [0, 1).

    Returns:
        The pairs to train on and the held-out ones. A hash of its name alone decides where a pair
        goes, so that adding or removing others never moves it.
    """
    train, validation = [], []
    for pair in pairs:
        held_out = name_hash(pair.name) < fraction * 2**64
        (validation if held_out else train).append(pair)
    return train, validation


def name_hash(name: str) -> int:
    """A number in [0, 2**64) that looks random and is the same on every machine."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")


def load_pair(pair: Pair, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Reads a pair and resizes both to a square, whatever their shape.

    Args:
        pair: the files.
        size: side of the square in pixels.

    Returns:
        The image, uint8 (size, size, 3), and the mask, uint8 (size, size), soft at its edges.

    Raises:
        ValueError: if a file cannot be read, their sizes differ, or the mask holds zeros and ones
            instead of black and white; the files are named.
    """
    image, mask = _open(pair.image, "RGB"), _open(pair.mask, "L")
    if image.size != mask.size:
        raise ValueError(
            f"{pair.image} has {image.width} x {image.height} pixels, "
            f"its mask {pair.mask} has {mask.width} x {mask.height}"
        )
    if mask.getextrema()[1] == 1:
        raise ValueError(f"{pair.mask} holds zeros and ones; foreground has to be 255")
    square = (size, size)
    image = image.resize(square, Image.Resampling.BILINEAR)
    return np.asarray(image), np.asarray(mask.resize(square, Image.Resampling.BILINEAR))


def load_whole(pairs: Sequence[Pair], most: int, size: int, seed: int) -> np.ndarray:
    """Photos as they are, resized to squares: uint8 (N, size, size, 3), N at most `most`.

    Args:
        pairs: the pairs to draw from, without replacement, by their weights.
        most: number of photos, if there are so many.
        size: side of the squares.
        seed: decides which are drawn.
    """
    count = min(most, len(pairs))
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(pairs), count, replace=False, p=_shares(pairs))
    return np.stack([load_pair(pairs[index], size)[0] for index in chosen])


def augment(
    image: np.ndarray, mask: np.ndarray, crop: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Takes a random crop, flips every other one, and changes brightness, contrast and colours.

    Hues turn by up to a tenth of the circle, so that neither a warm colour nor a bright one says by
    itself what the object is.

    Args:
        image: uint8 (S, S, 3).
        mask: uint8 (S, S).
        crop: side of the crop, at most S.
        rng: source of every choice.

    Returns:
        uint8 (crop, crop, 3) and uint8 (crop, crop).
    """
    top, left = rng.integers(0, len(image) - crop + 1, size=2)
    flip = -1 if rng.random() < 0.5 else 1
    brightness, contrast = rng.uniform(0.7, 1.3, size=2)
    saturation = rng.uniform(0.0, 1.6)
    turn = rng.uniform(-0.2, 0.2) * np.pi
    tint = rng.uniform(0.93, 1.07, size=3)

    window = (slice(top, top + crop), slice(left, left + crop))
    pixels = image[window][:, ::flip]
    # All of them are linear in a pixel's three channels, so one matrix does them in one pass.
    colours = contrast * (saturation * _hue_rotation(turn) + (1 - saturation) / 3) * tint
    shift = (brightness - contrast) * pixels.mean() * tint
    changed = pixels.astype("float32") @ colours.astype("float32") + shift.astype("float32")
    return np.clip(changed, 0, 255, out=changed).astype("uint8"), mask[window][:, ::flip]


def _hue_rotation(angle: float) -> np.ndarray:
    """Matrix (3, 3) that turns rows of colours by an angle in radians around the axis of greys."""
    # Rodrigues' formula; (0, 1, -1) and so on are the cross products with the axis.
    across = np.array([[0, 1, -1], [-1, 0, 1], [1, -1, 0]]) / np.sqrt(3)
    return np.cos(angle) * np.eye(3) + (1 - np.cos(angle)) / 3 + np.sin(angle) * across


def paste(
    image: np.ndarray, mask: np.ndarray, other: np.ndarray, other_mask: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Puts the object of one image on another (Ghiasi et al. 2021, "Simple Copy-Paste").

    Args:
        image: the image whose object is cut out, uint8 (S, S, 3).
        mask: its mask, uint8 (S, S).
        other: the background, uint8 (S, S, 3).
        other_mask: its mask, uint8 (S, S).

    Returns:
        uint8 (S, S, 3) and uint8 (S, S), with both objects.
    """
    share = mask[..., None].astype("float32") / np.float32(255)
    mixed = other + share * (image.astype("float32") - other)
    return mixed.round().astype("uint8"), np.maximum(mask, other_mask)


def degrade(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Blurs one image in five and compresses two in five as JPEG, as bad photos are.

    Args:
        image: uint8 (S, S, 3).
        rng: source of every choice.

    Returns:
        uint8 (S, S, 3).
    """
    blurred, radius = rng.random() < 0.2, rng.uniform(0.3, 1.5)
    compressed, quality = rng.random() < 0.4, int(rng.integers(30, 95))
    picture = Image.fromarray(image)
    if blurred:
        picture = picture.filter(ImageFilter.GaussianBlur(radius))
    if compressed:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality)
        picture = Image.open(buffer)
    return np.asarray(picture)


def make_batch(
    pairs: Sequence[Pair], *, batch_size: int, resize: int, crop: int, seed: int, step: int
) -> tuple[np.ndarray, np.ndarray]:
    """The batch of one step: drawn with replacement, each pair as often as its weight says.

    Images are resized to squares whose side lies anywhere between that of a crop and `resize`.
    One in four gets the object of another.

    Args:
        pairs: the pairs to draw from.
        batch_size: number N of crops.
        resize: largest side of the squares that crops are taken from.
        crop: side of the crops.
        seed: seed of the run.
        step: number of the step; with the seed it decides everything.

    Returns:
        Images, uint8 (N, crop, crop, 3), and masks, uint8 (N, crop, crop, 1), 255 is object.
    """
    rng = np.random.default_rng((seed, step))
    shares = _shares(pairs)

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
    """The batches of the given steps in order, made ahead by processes; see `make_batch`.

    Raises:
        ValueError: an image cannot be read, see `load_pair`.
        OSError: one of the processes was killed.
    """
    affine = getattr(os, "sched_getaffinity", None)
    cores = len(affine(0)) if affine else os.cpu_count() or 1
    # The rest is for the network; fourteen fed a GPU that took 1,400 crops of 192² a second.
    workers = min(16, max(1, cores - 2))
    make = partial(_make, batch_size=batch_size, resize=resize, crop=crop, seed=seed)
    pool = ProcessPoolExecutor(
        workers,
        # A fork would copy the locks of the threads that run the network.
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
    # Ctrl-C is for the parent, which then ends the pool.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Ends a worker whose parent was killed: it would wait for work for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _make(step: int, **drawing: int) -> tuple[np.ndarray, np.ndarray]:
    return make_batch(_worker_pairs, step=step, **drawing)


def _shares(pairs: Sequence[Pair]) -> np.ndarray:
    weights = np.array([pair.weight for pair in pairs])
    return weights / weights.sum()


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}")
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)


def _open(path: Path, mode: str) -> Image.Image:
    try:
        with Image.open(path) as image:
            return ImageOps.exif_transpose(image).convert(mode)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"cannot read {path}: {error}") from error
