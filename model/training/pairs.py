"""Pairs of images and masks: found in folders, split, and read."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


@dataclass(frozen=True)
class Pair:
    """One image and its mask.

    Attributes:
        name: ``<folder>/<stem>``, which also decides whether the pair is held out.
        image: Path of the image file.
        mask: Path of the mask file, white where the object is.
        weight: How often the pair is drawn, relative to other pairs.
    """

    name: str
    image: Path
    mask: Path
    weight: float = 1.0


def find_pairs(folder: Path, weight: float = 1.0) -> list[Pair]:
    """Finds the pairs of a folder: files of ``images/`` and ``masks/`` with the same stem.

    Args:
        folder: A folder that holds ``images/`` and ``masks/``. Masks without an image are ignored.
        weight: Weight of every pair, above 0.

    Returns:
        At least one pair, sorted by file name.

    Raises:
        ValueError: There is no such folder, no image, or no mask for an image; the message names
            it. Or the weight is not positive.
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
    """Reads image and mask and resizes both to a square, whatever their aspect ratio.

    Args:
        pair: The pair.
        size: Side of the square in pixels.

    Returns:
        The image, uint8 (size, size, 3), and the mask, uint8 (size, size), soft at its edges.

    Raises:
        ValueError: A file cannot be read, the sizes differ, or the mask holds zeros and ones
            instead of black and white. The message names the files.
    """
    image, mask = _open(pair.image, "RGB"), _open(pair.mask, "L")
    if image.size != mask.size:
        raise ValueError(
            f"{pair.image} has {image.width} x {image.height} pixels, "
            f"its mask {pair.mask} has {mask.width} x {mask.height}"
        )
    if mask.getextrema()[1] == 1:
        raise ValueError(f"{pair.mask} holds zeros and ones; the foreground must be 255")
    square = (size, size)
    image = image.resize(square, Image.Resampling.BILINEAR)
    return np.asarray(image), np.asarray(mask.resize(square, Image.Resampling.BILINEAR))


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
