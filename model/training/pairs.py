"""Pairs of images and masks, or soft maps: found in folders, split, and read."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from model.image_formats import IMAGE_SUFFIXES
from model.training.pictures import find_pictures, open_picture

# Where the IoU of a mask and a teacher's map is below this, neither is trusted.
LEAST_AGREEMENT = 0.5


@dataclass(frozen=True)
class Pair:
    """One image and what is known of its object: a mask, a teacher's soft map, or both.

    Attributes:
        name: ``<folder>/<stem>``, which also decides whether the pair is held out.
        image: Path of the image file.
        mask: Path of the mask file, white where the object is; None where there is a map alone.
        weight: How often the pair is drawn, relative to other pairs.
        map: Path of the soft map, from black (0) to white (1); None where there is a mask alone.
    """

    name: str
    image: Path
    mask: Path | None
    weight: float = 1.0
    map: Path | None = None


def find_pairs(folder: Path, weight: float = 1.0) -> list[Pair]:
    """Finds the pairs of a folder: files of ``images/``, ``masks/`` and ``maps/`` of one stem.

    An image may have a mask, a map or both. Photos whose mask and map disagree, with an IoU below
    ``LEAST_AGREEMENT``, are left out, since either may be wrong. How many these are is printed.

    Args:
        folder: A folder that holds ``images/``, and ``masks/`` or ``maps/`` or both. Masks and maps
            without an image are ignored.
        weight: Weight of every pair, above 0.

    Returns:
        At least one pair, sorted by file name.

    Raises:
        ValueError: There is no such folder, no image, neither mask nor map for an image, or two of
            one name; the message names it. Or the weight is not positive, or nothing is left.
    """
    if weight <= 0:
        raise ValueError(f"the weight of {folder} must be positive, got {weight}")
    has_maps = (folder / "maps").is_dir()
    maps = _by_stem(folder / "maps") if has_maps else {}
    masks = {} if has_maps and not (folder / "masks").is_dir() else _by_stem(folder / "masks")
    pairs = []
    for image in _by_stem(folder / "images").values():
        mask, soft = masks.get(image.stem), maps.get(image.stem)
        if mask is None and soft is None:
            either = " and no map in maps/" if has_maps else ""
            raise ValueError(f"{image} has no mask {folder / 'masks' / image.stem}.png{either}")
        pairs.append(Pair(f"{folder.resolve().name}/{image.stem}", image, mask, weight, soft))
    if not pairs:
        raise ValueError(f"no images in {folder / 'images'}; known are {', '.join(IMAGE_SUFFIXES)}")
    return _agreeing(folder, pairs)


def split_pairs(pairs: Sequence[Pair], fraction: float) -> tuple[list[Pair], list[Pair]]:
    """Splits pairs into those to train on and those to validate with.

    A hash of its name decides where a pair goes, so adding or removing others never moves it.

    Args:
        pairs: All pairs.
        fraction: Expected share of held-out pairs, in [0, 1).

    Returns:
        The pairs to train on, and the held-out pairs.
    """
    train, validation = [], []
    for pair in pairs:
        held_out = name_hash(pair.name) < fraction * 2**64
        (validation if held_out else train).append(pair)
    return train, validation


def name_hash(name: str) -> int:
    """Returns a pseudo-random number in [0, 2**64), the same on every machine.

    Args:
        name: Any text.
    """
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")


def load_pair(pair: Pair, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Reads an image and its truth and resizes both to a square, whatever their aspect ratio.

    A map shows the whole photo, at any size and any aspect ratio, as networks give it. Of mask and
    map the truth is the mean.

    Args:
        pair: The pair.
        size: Side of the square in pixels.

    Returns:
        The image, uint8 (size, size, 3), and the truth, uint8 (size, size): a mask that is soft at
        its edges, or a soft map.

    Raises:
        ValueError: A file cannot be read, the sizes of image and mask differ, or the mask holds
            zeros and ones instead of black and white. The message names the files.
    """
    image = open_picture(pair.image, "RGB")
    truths = []
    if pair.mask is not None:
        mask = open_picture(pair.mask, "L")
        if image.size != mask.size:
            raise ValueError(
                f"{pair.image} has {image.width} x {image.height} pixels, "
                f"its mask {pair.mask} has {mask.width} x {mask.height}"
            )
        if mask.getextrema()[1] == 1:
            raise ValueError(f"{pair.mask} holds zeros and ones; the foreground must be 255")
        truths.append(mask)
    if pair.map is not None:
        truths.append(open_picture(pair.map, "L"))
    square = (size, size)
    resized = [np.asarray(truth.resize(square, Image.Resampling.BILINEAR)) for truth in truths]
    truth = resized[0] if len(resized) == 1 else np.mean(resized, axis=0).round().astype("uint8")
    return np.asarray(image.resize(square, Image.Resampling.BILINEAR)), truth


def load_whole(pairs: Sequence[Pair], most: int, size: int, seed: int) -> np.ndarray:
    """Reads whole photos without augmentation, resized to squares.

    Args:
        pairs: The pairs to draw from, without replacement, by their weights.
        most: Number of photos to draw; all if there are fewer.
        size: Side of the squares in pixels.
        seed: Decides which photos are drawn.

    Returns:
        uint8 (N, size, size, 3), N at most ``most``.

    Raises:
        ValueError: A file cannot be read, see ``load_pair``.
    """
    count = min(most, len(pairs))
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(pairs), count, replace=False, p=draw_shares(pairs))
    return np.stack([load_pair(pairs[index], size)[0] for index in chosen])


def draw_shares(pairs: Sequence[Pair]) -> np.ndarray:
    """Returns how likely each pair is to be drawn: float64 (N,), of sum 1.

    Args:
        pairs: The pairs, which are drawn by their weights.
    """
    weights = np.array([pair.weight for pair in pairs])
    return weights / weights.sum()


def _agreeing(folder: Path, pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs without those whose mask and map disagree; says how many these are."""
    with ThreadPoolExecutor() as threads:
        agree = list(threads.map(_agrees, pairs))
    kept = [pair for pair, fine in zip(pairs, agree, strict=True) if fine]
    if len(kept) < len(pairs):
        first = pairs[agree.index(False)].image
        print(
            f"{folder}: {len(pairs) - len(kept)} of {len(pairs)} photos are left out, since mask "
            f"and map disagree (IoU below {LEAST_AGREEMENT:g}), such as {first}"
        )
    if not kept:
        raise ValueError(f"of all photos in {folder} mask and map disagree; do they belong to it?")
    return kept


def _agrees(pair: Pair) -> bool:
    if pair.mask is None or pair.map is None:
        return True
    mask = np.asarray(open_picture(pair.mask, "L")) > 127
    soft = open_picture(pair.map, "L").resize(mask.shape[::-1], Image.Resampling.BILINEAR)
    found = np.asarray(soft) > 127
    either = np.count_nonzero(mask | found)
    return either == 0 or np.count_nonzero(mask & found) >= LEAST_AGREEMENT * either


def _by_stem(folder: Path) -> dict[str, Path]:
    """The pictures of a folder by their stems.

    Raises:
        ValueError: There is no such folder, or two pictures have one stem.
    """
    pictures: dict[str, Path] = {}
    for path in find_pictures(folder):
        other = pictures.setdefault(path.stem, path)
        if other != path:
            raise ValueError(f"{other} and {path} have one name; rename or remove one")
    return pictures
