"""Joins files with their ground truth, by the path below the pattern's folder without suffix."""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam

from pipeline.records import Source
from pipeline.storage.mask_names import stem
from pipeline.storage.patterns import real_path


class PairPhotos(beam.PTransform):
    """(photos, truths), each (path, folder), to the ``Source`` of each photo."""

    def expand(self, files):
        """Joins by stem. A photo without truth is a source without truth."""
        photos, truths = files
        return _joined(photos, truths) | beam.FlatMap(photo_sources)


class PairMasks(beam.PTransform):
    """(masks, truths), each (path, folder), to (key, mask, truth); mask or truth may be None."""

    def expand(self, files):
        """Joins by stem."""
        masks, truths = files
        return _joined(masks, truths) | beam.FlatMap(mask_pairs)


def photo_sources(joined: tuple[str, dict]) -> Iterator[Source]:
    """The sources of the photos of one stem."""
    _, found = joined
    # Photos and masks may lie in one folder. A photo is never its own truth, however it is spelt.
    photos = {real_path(path) for path, _ in found["files"]}
    truths = (path for path, _ in found["truths"])
    truth = min((path for path in truths if real_path(path) not in photos), default=None)
    for path, folder in found["files"]:
        yield Source(path, root=folder, truth=truth)


def mask_pairs(joined: tuple[str, dict]) -> Iterator[tuple[str, str | None, str | None]]:
    """Key, mask and truth of one stem. One of the two may be missing."""
    _, found = joined
    masks, truths = sorted(found["files"]), sorted(found["truths"])
    for path, folder in masks or truths:
        key, truth = path[len(folder) :], truths[0][0] if truths else None
        yield (key, path, truth) if masks else (key, None, path)


def _joined(files: beam.PCollection, truths: beam.PCollection) -> beam.PCollection:
    by_stem = {
        "files": files | "Stem" >> beam.Map(_with_stem),
        "truths": truths | "StemOfTruth" >> beam.Map(_with_stem),
    }
    return by_stem | "Join" >> beam.CoGroupByKey()


def _with_stem(file: tuple[str, str]) -> tuple[str, tuple[str, str]]:
    path, folder = file
    return stem(path[len(folder) :]), file
