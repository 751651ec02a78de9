"""Names images and shards, and their masks, so that no two share a mask."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import apache_beam as beam

from pipeline.records import Chunk, ListedFile, Source
from pipeline.stages.blocks import GroupInBlocks
from pipeline.stages.outcomes import in_window
from pipeline.storage.mask_names import (
    claim_of_image,
    claim_of_shard,
    claims_of_folders,
    name_images,
    name_shard,
)
from pipeline.storage.patterns import format_of, is_shard, real_path

# Stands for a folder in which the masks of others lie.
FOLDER = None


class NameSources(beam.PTransform):
    """``ListedFile`` to ``Source``.

    Args:
        input_format: As for ``patterns.format_of``.
    """

    def __init__(self, input_format: str):
        super().__init__()
        self.input_format = input_format

    def expand(self, files):
        """Groups what could share a name, and tells it apart."""
        claims = files | "Claims" >> beam.ParDo(_Claims(self.input_format))
        grouped = (claims,) | GroupInBlocks()
        return grouped | "Name" >> beam.FlatMapTuple(
            lambda claim, found: name_group(claim, *found, self.input_format)
        )


class _Claims(beam.DoFn):
    """Each file by its claim, and each folder of masks once in a bundle."""

    def __init__(self, input_format: str):
        self.input_format = input_format

    def start_bundle(self):
        self.folders: set[str] = set()

    def process(self, file: ListedFile) -> Iterator[tuple[str, ListedFile]]:
        claim_of = claim_of_shard if is_shard(file.path, self.input_format) else claim_of_image
        claim = claim_of(file.key)
        self.folders |= claims_of_folders(claim)
        yield claim, file

    def finish_bundle(self) -> Iterator:
        for claim in sorted(self.folders):
            yield in_window((claim, FOLDER))


def name_group(
    claim: str, files: Iterable[ListedFile | None], input_format: str = "auto"
) -> Iterator[Source]:
    """The sources of the files that have one claim.

    Args:
        claim: That of shards ends in ``/``.
        files: The files. None stands for a folder of other masks.
        input_format: As for ``patterns.format_of``.
    """
    members = list(files)
    found = sorted(file for file in members if file is not FOLDER)
    if claim.endswith("/"):
        is_alone = len(members) == 1
        for file in found:
            key, mask = name_shard(file.key, real_path(file.path), is_alone=is_alone)
            chunk = Chunk(form=format_of(file.path, input_format))
            yield _source(file, key, mask, chunk)
        return
    named = name_images([(file.key, real_path(file.path)) for file in found])
    for file, (key, mask) in zip(found, named, strict=True):
        yield _source(file, key, mask, None)


def _source(file: ListedFile, key: str, mask: str, chunk: Chunk | None) -> Source:
    return Source(
        file.path, key, mask, file.truth or None, file.size, file.stamp, file.folder, chunk
    )
