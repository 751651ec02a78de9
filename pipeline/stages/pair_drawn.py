"""Joins images with the ground truths of an annotation file, by the names that it has for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import apache_beam as beam

from model.annotations.names import Image, file_name, images_of
from pipeline.records import ListedFile, Note, Source
from pipeline.stages.blocks import GroupInBlocks
from pipeline.stages.pair import OTHER_IN_MANIFEST, Paired, with_truth


class Joined(NamedTuple):
    """What one file name stands for.

    Attributes:
        sources: The images, with their truths as far as there are any.
        notes: What has no partner.
    """

    sources: list[Source]
    notes: list[Note]


class PairDrawn(beam.PTransform):
    """(``Source``, ``ListedFile`` of ``DrawTruths``) to the same sources with their truths.

    A shard is a source of images that carry their truths.

    Args:
        scores: Whether sources are masks to be scored; those without truth are left out then.
    """

    def __init__(self, *, scores: bool):
        super().__init__()
        self.scores = scores

    def expand(self, sources_truths) -> Paired:
        """Groups by file names, then joins by whole names."""
        sources, truths = sources_truths
        scores = self.scores
        shards, files = sources | "Kind" >> beam.Partition(lambda one, _: int(one.chunk is None), 2)
        named = files | "Name" >> beam.Map(lambda one: (file_name(one.key), one))
        truths = truths | "NameOfTruth" >> beam.Map(lambda one: (file_name(one.name), one))
        joined = (
            (named, truths)
            | "Group" >> GroupInBlocks()
            | "Join" >> beam.MapTuple(lambda _, found: join(*found, scores=scores))
        )
        paired = joined | "Sources" >> beam.FlatMap(lambda one: one.sources)
        notes = joined | "Notes" >> beam.FlatMap(lambda one: one.notes)
        return Paired((shards, paired) | beam.Flatten(), notes)


def join(sources: Sequence[Source], truths: Sequence[ListedFile], *, scores: bool) -> Joined:
    """Joins the images and truths of one file name.

    Args:
        sources: The images.
        truths: The truths.
        scores: As for ``PairDrawn``.
    """
    sources = sorted(sources, key=lambda one: one.path)
    truths = sorted(truths)  # In the order of their file.
    meant = images_of([one.name for one in truths], [Image(s.key, s.path) for s in sources])
    truth_of = {image: truths[number] for number, image in meant.images.items()}
    joined = Joined([], [])
    for number, source in enumerate(sources):
        # A truth that a manifest gives counts first.
        if source.truth is None and number in truth_of:
            joined.sources.append(with_truth(source, truth_of[number]))
            continue
        if number in truth_of:
            joined.notes.append(Note(OTHER_IN_MANIFEST, truth_of[number].name))
        if source.truth is None:
            joined.notes.append(Note("images have no ground truth", source.path))
        if not scores:
            joined.sources.append(source)
    kinds = dict.fromkeys(meant.ambiguous, "ground truths could be of several images of their name")
    kinds |= dict.fromkeys(meant.doubled, "ground truths are not used, as another has their name")
    for number, truth in enumerate(truths):
        if number not in meant.images:
            kind = kinds.get(number, "ground truths have no image")
            joined.notes.append(Note(kind, truth.name))
    return joined
