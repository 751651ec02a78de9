"""Pairs of photos and masks from what label tools export."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image as Picture

from model.annotations.drawings import BadDrawing, Remark, draw, unusable
from model.annotations.names import Image, images_of
from model.annotations.read import is_annotation_file, read_annotations
from model.image_formats import IMAGE_SUFFIXES
from model.training.pairs import Pair
from model.training.pictures import find_pictures, upright_size

MAX_PIXELS = 200_000_000


def find_annotated(photos: Path, truth: Path, drawn: Path, weight: float = 1.0) -> list[Pair]:
    """Finds the photos of which there is a mask. What is left out is printed.

    Args:
        photos: A folder, with all below it.
        truth: A file of COCO, Label Studio or CVAT, or a folder of masks with all below it, named
            like the photos.
        drawn: Where masks of an annotation file are written.
        weight: Weight of every pair, above 0.

    Returns:
        At least one pair, sorted by file name.

    Raises:
        ValueError: Nothing fits, or the file is damaged; the message names it.
        OSError: A file cannot be read or written.
    """
    if weight <= 0:
        raise ValueError(f"the weight of {truth} must be positive, got {weight}")
    masks, remarks = _drawn(truth, drawn) if is_annotation_file(str(truth)) else _listed(truth)
    files = find_pictures(photos, below=True)
    images = [Image(_below(file, photos), str(file.resolve())) for file in files]
    names = [name for name, _ in masks]
    meant = images_of(names, images)
    for number in range(len(masks)):
        if number not in meant.images:
            remarks.append(Remark("masks mean no photo, or one that another means", names[number]))
    chosen = {image: masks[number][1] for number, image in meant.images.items()}
    if is_annotation_file(str(truth)):
        # Else the training would end at the first of them.
        for number in [n for n, mask in chosen.items() if not _fits(files[n], mask)]:
            remarks.append(Remark("masks are not of the size of their photo", images[number].key))
            del chosen[number]
    remarks += [
        Remark("photos have no mask and are left out", images[number].key)
        for number in range(len(images))
        if number not in chosen
    ]
    counts = Counter(remark.kind for remark in remarks)
    for kind, count in counts.items():
        example = next(remark.example for remark in remarks if remark.kind == kind)
        print(f"{truth}: {count} {kind}, such as {example}")
    if not chosen:
        known = ", ".join(IMAGE_SUFFIXES)
        raise ValueError(f"{truth} has no mask of a photo in {photos}; photos are {known}")
    return [
        Pair(f"{photos.resolve().name}/{images[number].key}", files[number], mask, weight)
        for number, mask in sorted(chosen.items())
    ]


def _drawn(file: Path, folder: Path) -> tuple[list[tuple[str, Path]], list[Remark]]:
    """Draws the masks of an annotation file: names and paths of masks, and what there is to say."""
    masks, remarks = [], []
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with file.open("rb") as opened:
            for number, one in enumerate(read_annotations(opened)):
                try:
                    if isinstance(one, Remark):
                        remarks.append(one)
                        continue
                    path = folder / f"{number:08d}.png"
                    mask = draw(one, MAX_PIXELS)
                    Picture.fromarray(mask * np.uint8(255)).convert("1").save(path)
                    masks.append((one.name, path))
                except BadDrawing as error:
                    remarks.append(unusable(error, one.name))
    except ValueError as error:
        raise ValueError(f"{file} cannot be read: {error}") from error
    return masks, remarks


def _fits(photo: Path, mask: Path) -> bool:
    """Whether a photo, turned upright, has the size of a mask. Only their heads are read."""
    try:
        size = upright_size(photo)
    except (OSError, SyntaxError, Picture.DecompressionBombError):
        return True  # Whoever reads it says why it cannot.
    with Picture.open(mask) as opened:
        return opened.size == size


def _listed(folder: Path) -> tuple[list[tuple[str, Path]], list[Remark]]:
    """The masks of a folder: names and paths."""
    return [(_below(path, folder), path) for path in find_pictures(folder, below=True)], []


def _below(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
