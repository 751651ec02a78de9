"""Joins files with their ground truth, by the names of ``pair_names``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import apache_beam as beam

from pipeline.records import Note, Source
from pipeline.storage.pair_names import name_of_image, name_of_truth
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
    """(photos, truths), each (path, folder), to the ``Source`` of each photo.

    Args:
        patterns: The patterns that the photos match.
        truth: The pattern that the truths match; empty for none.
    """

    def __init__(self, patterns: Sequence[str] = (), truth: str = ""):
        super().__init__()
        self.patterns = patterns
        self.truth = truth

    def expand(self, files) -> Paired:
        """Joins by name. A photo without truth is a source without truth."""
        photos, truths = files
        joined = _joined(photos, truths, self.patterns, self.truth)
        sources = joined | "Sources" >> beam.FlatMap(photo_sources)
        return Paired(sources, joined | "Notes" >> beam.FlatMap(pair_notes))


class PairMasks(beam.PTransform):
    """(masks, truths), each (path, folder), to (key, mask, truth); mask or truth may be None.

    Args:
        masks: The pattern that the masks match.
        truth: The pattern that the truths match.
    """

    def __init__(self, masks: str = "", truth: str = ""):
        super().__init__()
        self.masks = masks
        self.truth = truth

    def expand(self, files):
        """Joins by name."""
        masks, truths = files
        joined = _joined(masks, truths, (self.masks,), self.truth)
        return joined | beam.FlatMap(mask_pairs)


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


def mask_pairs(joined: tuple[str, dict]) -> Iterator[tuple[str, str | None, str | None]]:
    """Key, mask and truth of one name. One of the two may be missing."""
    _, found = joined
    masks, truths = sorted(found["files"]), sorted(found["truths"])
    for path, folder in masks or truths:
        key, truth = path[len(folder) :], truths[0][0] if truths else None
        yield (key, path, truth) if masks else (key, None, path)


def _joined(
    files: beam.PCollection, truths: beam.PCollection, patterns: Sequence[str], truth: str
) -> beam.PCollection:
    by_name = {
        "files": files
        | "Name" >> beam.Map(lambda file: (name_of_image(file, patterns, truth), file)),
        "truths": truths
        | "NameOfTruth" >> beam.Map(lambda file: (name_of_truth(file, truth), file)),
    }
    return by_name | "Join" >> beam.CoGroupByKey()
