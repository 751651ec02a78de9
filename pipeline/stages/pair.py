"""Joins files with their ground truth, by the names of ``pair_names``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import apache_beam as beam

from pipeline.failures import Attempt, BadImage, Failure
from pipeline.records import ListedFile, Note, Source
from pipeline.stages.blocks import GroupInBlocks
from pipeline.stages.outcomes import FAILURES, InputOutcome, emit
from pipeline.storage.pair_names import name_of_image, name_of_truth
from pipeline.storage.patterns import real_path

# Kind of the notes on truths of images whose manifest gives another.
OTHER_IN_MANIFEST = "ground truths are not used, as the manifest names another"


class Paired(NamedTuple):
    """Photos with their truths.

    Attributes:
        results: The ``Source`` of each photo.
        notes: ``Note`` of each photo without truth, and of each truth without photo.
    """

    results: beam.PCollection
    notes: beam.PCollection


class PairPhotos(beam.PTransform):
    """(``Source`` of photos, ``ListedFile`` of truths) to the same sources with their truths.

    A shard is a source of photos that carry their truths.

    Args:
        patterns: The patterns that the photos match.
        truth: The pattern that the truths match.
    """

    def __init__(self, patterns: Sequence[str], truth: str):
        super().__init__()
        self.patterns = patterns
        self.truth = truth

    def expand(self, sources_truths) -> Paired:
        """Joins by name. A photo without truth is a source without truth."""
        sources, truths = sources_truths
        shards, photos = sources | "Kind" >> beam.Partition(
            lambda one, _: int(one.chunk is None), 2
        )
        joined = _joined(photos, truths, self.patterns, self.truth)
        paired = joined | "Photos" >> beam.FlatMapTuple(lambda _, found: photo_sources(*found))
        notes = joined | "Notes" >> beam.FlatMapTuple(lambda _, found: pair_notes(*found))
        return Paired((shards, paired) | beam.Flatten(), notes)


class PairMasks(beam.PTransform):
    """``ListedFile`` of (masks, truths) to the ``Source`` of each mask.

    A mask without truth, or a truth without mask, is a failure.

    Args:
        masks: The pattern that the masks match.
        truth: The pattern that the truths match.
    """

    def __init__(self, masks: str, truth: str):
        super().__init__()
        self.masks = masks
        self.truth = truth

    def expand(self, masks_truths) -> InputOutcome:
        """Joins by name."""
        masks, truths = masks_truths
        joined = _joined(masks, truths, (self.masks,), self.truth)
        attempts = joined | beam.FlatMapTuple(
            lambda _, found: map(emit, mask_sources(*found))
        ).with_outputs(FAILURES, main="results")
        notes = joined | "Notes" >> beam.FlatMapTuple(
            lambda _, found: unused_notes(found[1]) if found[0] else ()
        )
        return InputOutcome(attempts.results, attempts.failures, notes)


def photo_sources(files: list[Source], truths: list[ListedFile]) -> Iterator[Source]:
    """The sources of the photos of one name. A truth that a manifest gives counts first."""
    # Photos and masks may lie in one folder. A photo is never its own truth, however it is spelt.
    photos = {real_path(source.path) for source in files}
    others = [truth for truth in truths if real_path(truth.path) not in photos]
    truth = min(others, default=None)
    for source in files:
        given = source.truth is not None or truth is None
        yield source if given else with_truth(source, truth)


def pair_notes(files: list[Source], truths: list[ListedFile]) -> Iterator[Note]:
    """What of one name has no partner."""
    for source in photo_sources(files, truths):
        if source.truth is None:
            yield Note("images have no ground truth", source.path)
    if not files:
        for truth in truths:
            yield Note("ground truths have no image", truth.path)
        return
    photos = {real_path(source.path) for source in files}
    others = sorted(one for one in truths if real_path(one.path) not in photos)
    yield from unused_notes(others)
    given = {real_path(source.truth) for source in files if source.truth is not None}
    all_given = all(source.truth is not None for source in files)
    if others and all_given and real_path(others[0].path) not in given:
        yield Note(OTHER_IN_MANIFEST, others[0].path)


def unused_notes(truths: list[ListedFile]) -> Iterator[Note]:
    """Notes on the truths of one name but the first, which alone is used."""
    for truth in sorted(truths)[1:]:
        yield Note("ground truths are not used, as another has their name", truth.path)


def mask_sources(masks: list[ListedFile], truths: list[ListedFile]) -> Iterator[Attempt[Source]]:
    """The sources of the masks of one name, or what is missing."""
    truths = sorted(truths)
    for mask in masks:
        if truths:
            yield Attempt(with_truth(source_of_mask(mask), truths[0]))
        else:
            yield _missing(mask, "missing_truth", f"no truth for the mask {mask.key}")
    if not masks:
        for truth in truths:
            yield _missing(truth, "missing_mask", f"no mask for the truth {truth.key}")


def source_of_mask(mask: ListedFile) -> Source:
    """The source of a mask to be scored, without its truth."""
    return Source(mask.path, mask.key, mask.path, size=mask.size, stamp=mask.stamp)


def with_truth(source: Source, truth: ListedFile) -> Source:
    """A source with its ground truth. Its stamp is that of both."""
    stamp = f"{source.stamp} {truth.stamp}" if source.stamp and truth.stamp else ""
    return replace(source, truth=truth.path, stamp=stamp)


def _missing(file: ListedFile, reason: str, message: str) -> Attempt:
    return Attempt(failure=Failure.of(file.key, "read", BadImage(reason, message)))


def _joined(
    files: beam.PCollection, truths: beam.PCollection, patterns: Sequence[str], truth: str
) -> beam.PCollection:
    """(name, (photos or masks, truths))."""
    named = files | "Name" >> beam.Map(lambda f: (name_of_image(f, patterns, truth), f))
    truths = truths | "NameOfTruth" >> beam.Map(lambda f: (name_of_truth(f, truth), f))
    return (named, truths) | "Join" >> GroupInBlocks()
