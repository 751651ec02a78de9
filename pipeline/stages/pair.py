"""Joins files with their ground truth, by the path below the pattern's folder without suffix.

Names are compared in one Unicode form, and without any suffix of an image: ``x.jpg.png`` is the
truth of ``x.jpg``.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

import apache_beam as beam

from pipeline.records import Note, Source
from pipeline.storage.mask_names import stem
from pipeline.storage.patterns import real_path


class Paired(NamedTuple):
    """Photos with their truths.

    Attributes:
        results: The ``Source`` of each photo.
        notes: ``Note`` of each photo without truth, and of each truth without photo.
    """

    results: beam.PCollection
    notes: beam.PCollection


class PairPhotos(beam.PTransform):
    """(photos, truths), each (path, folder), to the ``Source`` of each photo."""

    def expand(self, files) -> Paired:
        """Joins by name. A photo without truth is a source without truth."""
        photos, truths = files
        joined = _joined(photos, truths)
        sources = joined | "Sources" >> beam.FlatMap(photo_sources)
        return Paired(sources, joined | "Notes" >> beam.FlatMap(pair_notes))


class PairMasks(beam.PTransform):
    """(masks, truths), each (path, folder), to (key, mask, truth); mask or truth may be None."""

    def expand(self, files):
        """Joins by name."""
        masks, truths = files
        return _joined(masks, truths) | beam.FlatMap(mask_pairs)


def photo_sources(joined: tuple[str, dict]) -> Iterator[Source]:
    """The sources of the photos of one name."""
    _, found = joined
    # Photos and masks may lie in one folder. A photo is never its own truth, however it is spelt.
    photos = {real_path(path) for path, _ in found["files"]}
    truths = (path for path, _ in found["truths"])
    truth = min((path for path in truths if real_path(path) not in photos), default=None)
    for path, folder in found["files"]:
        yield Source(path, root=folder, truth=truth)


def pair_notes(joined: tuple[str, dict]) -> Iterator[Note]:
    """What of one name has no partner."""
    _, found = joined
    for source in photo_sources(joined):
        if source.truth is None:
            yield Note("images have no ground truth", source.path)
    if not found["files"]:
        for path, _ in found["truths"]:
            yield Note("ground truths have no image", path)


def pair_name(key: str) -> str:
    """The name by which a file is joined with its truth."""
    name = unicodedata.normalize("NFC", key)
    while (shorter := stem(name)) != name:
        name = shorter
    return name


def mask_pairs(joined: tuple[str, dict]) -> Iterator[tuple[str, str | None, str | None]]:
    """Key, mask and truth of one name. One of the two may be missing."""
    _, found = joined
    masks, truths = sorted(found["files"]), sorted(found["truths"])
    for path, folder in masks or truths:
        key, truth = path[len(folder) :], truths[0][0] if truths else None
        yield (key, path, truth) if masks else (key, None, path)


def _joined(files: beam.PCollection, truths: beam.PCollection) -> beam.PCollection:
    by_name = {
        "files": files | "Name" >> beam.Map(_with_name),
        "truths": truths | "NameOfTruth" >> beam.Map(_with_name),
    }
    return by_name | "Join" >> beam.CoGroupByKey()


def _with_name(file: tuple[str, str]) -> tuple[str, tuple[str, str]]:
    path, folder = file
    return pair_name(path[len(folder) :]), file
