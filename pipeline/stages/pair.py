"""Joins files with their ground truth, by the names of ``pair_names``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import apache_beam as beam

from pipeline.failures import Attempt, BadImage, Failure
from pipeline.records import ListedFile, Note, Source
from pipeline.stages.blocks import GroupInBlocks
from pipeline.stages.outcomes import FAILURES, InputOutcome, emit
from pipeline.storage.pair_names import (
    name_of_image,
    name_of_truth,
    suffixes_of_image,
    suffixes_of_truth,
)
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
        truth = self.truth
        shards, photos = sources | "Kind" >> beam.Partition(
            lambda one, _: int(one.chunk is None), 2
        )
        joined = _joined(photos, truths, self.patterns, truth)
        paired = joined | "Photos" >> beam.FlatMapTuple(
            lambda _, found: photo_sources(*found, truth)
        )
        notes = joined | "Notes" >> beam.FlatMapTuple(lambda _, found: pair_notes(*found, truth))
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
        truth = self.truth
        joined = _joined(masks, truths, (self.masks,), truth)
        attempts = joined | beam.FlatMapTuple(
            lambda _, found: map(emit, mask_sources(*found, truth))
        ).with_outputs(FAILURES, main="results")
        notes = joined | "Notes" >> beam.FlatMapTuple(lambda _, found: mask_notes(*found, truth))
        return InputOutcome(attempts.results, attempts.failures, notes)


@dataclass(frozen=True)
class Choice:
    """The truth of one photo or mask.

    Attributes:
        truth: It, or None.
        is_shared: Whether it could as well be that of another of the same name.
    """

    truth: ListedFile | None = None
    is_shared: bool = False


def choose(
    files: Sequence[Source | ListedFile], truths: Sequence[ListedFile], truth: str
) -> list[Choice]:
    """The truths of the photos or masks of one name, in their order.

    The first truth that names a file with its suffixes is its own. The others have the first that
    names none of them so.

    Args:
        files: The photos or masks. Those that have a truth of a manifest choose none.
        truths: The truths.
        truth: The pattern that the truths match.
    """
    named: dict[str, list[ListedFile]] = {}
    for one in sorted(truths):
        named.setdefault(suffixes_of_truth(one, truth), []).append(one)
    suffixes = [suffixes_of_image(file) for file in files]
    rest = [one for key, some in named.items() if not key or key not in suffixes for one in some]
    chosen: list[ListedFile | None] = []
    for file, key in zip(files, suffixes, strict=True):
        given = isinstance(file, Source) and file.truth is not None
        chosen.append(None if given else min(named.get(key, rest), default=None))
    counts = Counter(chosen)
    return [Choice(one, one is not None and counts[one] > 1) for one in chosen]


def photo_sources(
    files: list[Source], truths: list[ListedFile], truth: str = ""
) -> Iterator[Source]:
    """The sources of the photos of one name. A truth that a manifest gives counts first.

    Args:
        files: The photos.
        truths: The truths.
        truth: The pattern that the truths match.
    """
    for source, choice in zip(files, choose(files, _no_photos(files, truths), truth), strict=True):
        if choice.is_shared:
            yield replace(source, truth_fault=_shared(choice.truth), stamp="")
        else:
            yield source if choice.truth is None else with_truth(source, choice.truth)


def pair_notes(files: list[Source], truths: list[ListedFile], truth: str = "") -> Iterator[Note]:
    """What of one name has no partner."""
    for source in photo_sources(files, truths, truth):
        if source.truth is None and not source.truth_fault:
            yield Note("images have no ground truth", source.path)
    if not files:
        for one in truths:
            yield Note("ground truths have no image", one.path)
        return
    others = sorted(_no_photos(files, truths))
    given = {real_path(source.truth) for source in files if source.truth is not None}
    if others and all(source.truth is not None for source in files):
        yield from unused_notes(others, others[:1])
        if real_path(others[0].path) not in given:
            yield Note(OTHER_IN_MANIFEST, others[0].path)
        return
    yield from unused_notes(others, [one.truth for one in choose(files, others, truth)])


def unused_notes(truths: Sequence[ListedFile], used: Sequence[ListedFile | None]) -> Iterator[Note]:
    """Notes on the truths of one name that are not used."""
    for one in sorted(set(truths) - set(used)):
        yield Note("ground truths are not used, as another has their name", one.path)


def mask_sources(
    masks: list[ListedFile], truths: list[ListedFile], truth: str = ""
) -> Iterator[Attempt[Source]]:
    """The sources of the masks of one name, or what is missing."""
    for mask, choice in zip(masks, choose(masks, truths, truth), strict=True):
        if choice.truth is None:
            yield _refused(mask, "missing_truth", f"no truth for the mask {mask.key}")
        elif choice.is_shared:
            yield _refused(mask, "ambiguous_truth", _shared(choice.truth))
        else:
            yield Attempt(with_truth(source_of_mask(mask), choice.truth))
    if not masks:
        for one in truths:
            yield _refused(one, "missing_mask", f"no mask for the truth {one.key}")


def mask_notes(
    masks: list[ListedFile], truths: list[ListedFile], truth: str = ""
) -> Iterator[Note]:
    """The truths of one name that no mask is compared with."""
    if masks:
        yield from unused_notes(truths, [one.truth for one in choose(masks, truths, truth)])


def _no_photos(files: list[Source], truths: list[ListedFile]) -> list[ListedFile]:
    """Truths without those that are photos: both may lie in one folder, however it is spelt."""
    photos = {real_path(source.path) for source in files}
    return [one for one in truths if real_path(one.path) not in photos]


def _shared(truth: ListedFile) -> str:
    return (
        "several images of this name could have one truth; name truths after the whole image, "
        f"such as a.jpg.png and a.png.png: {truth.name or truth.path}"
    )


def source_of_mask(mask: ListedFile) -> Source:
    """The source of a mask to be scored, without its truth."""
    return Source(mask.path, mask.key, mask.path, size=mask.size, stamp=mask.stamp)


def with_truth(source: Source, truth: ListedFile) -> Source:
    """A source with its ground truth. Its stamp is that of both."""
    stamp = f"{source.stamp} {truth.stamp}" if source.stamp and truth.stamp else ""
    return replace(source, truth=truth.path, stamp=stamp)


def _refused(file: ListedFile, reason: str, message: str) -> Attempt:
    return Attempt(failure=Failure.of(file.key, "read", BadImage(reason, message)))


def _joined(
    files: beam.PCollection, truths: beam.PCollection, patterns: Sequence[str], truth: str
) -> beam.PCollection:
    """(name, (photos or masks, truths))."""
    named = files | "Name" >> beam.Map(lambda f: (name_of_image(f, patterns, truth), f))
    truths = truths | "NameOfTruth" >> beam.Map(lambda f: (name_of_truth(f, truth), f))
    return (named, truths) | "Join" >> GroupInBlocks()
