"""Images from files of their own or from TFRecord shards, and existing masks to be scored.

Only names travel between workers. Shards are indexed and cut into chunks of a few records, and the
chunks are read where the images are used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import apache_beam as beam
from apache_beam.pvalue import AsDict

from pipeline.failures import Attempt, BadImage, Failure, attempt
from pipeline.records import ImageRecord, Item, Source, Truth, content_of
from pipeline.stages.list_files import ListFiles
from pipeline.stages.outcomes import InputOutcome, split_attempts
from pipeline.stages.pair import PairMasks, PairPhotos
from pipeline.stages.timed_reads import TimedReads
from pipeline.storage.files import read_file
from pipeline.storage.mask_names import claims, own_names
from pipeline.storage.pair_names import truth_glob
from pipeline.storage.patterns import is_shard
from pipeline.storage.shards import INDEX, index_shard, read_chunk, rest_of_chunk

# Enough to hide the latency of object stores.
AT_ONCE = 8


class ReadImages(beam.PTransform):
    """Patterns to ``ImageRecord``.

    Args:
        patterns: Files, folders or globs.
        input_format: ``"auto"``, ``"tfrecord"`` or ``"images"``.
        truth: Pattern of the ground truth of image files, or None. Records of shards carry theirs.
        timeout: Seconds that the read of an image may take.
    """

    def __init__(
        self, patterns: tuple[str, ...], input_format: str, truth: str | None, timeout: float
    ):
        super().__init__()
        self.patterns = patterns
        self.input_format = input_format
        self.truth = truth
        self.timeout = timeout

    def expand(self, begin) -> InputOutcome:
        """Lists files, pairs them with truths, indexes shards, tells names apart, reads."""
        listed = begin | "ListFiles" >> ListFiles(self.patterns, self.input_format)
        photos, shards = listed.results | "Kind" >> beam.Partition(
            lambda file, _: int(is_shard(file[0], self.input_format)), 2
        )
        masks = (truth_glob(self.truth),) if self.truth else ()
        truths = begin | "ListTruths" >> ListFiles(masks, "images")
        pair = PairPhotos(self.patterns, self.truth or "")
        paired = (photos, truths.results) | "Pair" >> pair
        sources = paired.results
        indexed = split_attempts(shards, "Index", _index(self.timeout))
        chunks = (
            indexed.results
            | "Chunks" >> beam.Filter(lambda step: step.chunk is not None)
            | "Chunk" >> beam.Map(lambda step: step.chunk)
        )
        record_keys = (
            indexed.results
            | "Records" >> beam.Filter(lambda step: step.key is not None)
            | "RecordKey" >> beam.Map(lambda step: step.key)
        )
        photo_keys = sources | "PhotoKey" >> beam.Map(_photo_key)
        taken = (photo_keys, record_keys) | "Taken" >> _TakenNames()
        read = split_attempts(
            (sources, chunks) | "Sources" >> beam.Flatten() | beam.Reshuffle(),
            "Load",
            _reading(read_source, rest_of_source, self.timeout),
            AsDict(taken),
        )
        failures = (listed.failures, truths.failures, indexed.failures, read.failures)
        # Without --truth, no photo misses any.
        notes = (listed.notes, truths.notes, *((paired.notes,) if self.truth else ()))
        return InputOutcome(
            read.results, failures | "Failures" >> beam.Flatten(), notes | "Notes" >> beam.Flatten()
        )


class ReadMasks(beam.PTransform):
    """Existing masks and their ground truth to ``ImageRecord``, with the mask as the image.

    A mask without truth, or a truth without mask, is a failure.

    Args:
        masks: Pattern of masks.
        truth: Pattern of their ground truth.
        timeout: As for ``ReadImages``.
    """

    def __init__(self, masks: str, truth: str, timeout: float):
        super().__init__()
        self.masks = masks
        self.truth = truth
        self.timeout = timeout

    def expand(self, begin) -> InputOutcome:
        """Lists both, pairs and reads them."""
        masks = begin | "ListMasks" >> ListFiles((self.masks,), "images")
        truths = begin | "ListTruths" >> ListFiles((truth_glob(self.truth),), "images")
        pairs = (masks.results, truths.results) | "Pair" >> PairMasks(self.masks, self.truth)
        read = split_attempts(pairs, "Load", _reading(read_pair, _rest_of_pair, self.timeout))
        failures = (masks.failures, truths.failures, read.failures)
        notes = (masks.notes, truths.notes)
        return InputOutcome(
            read.results, failures | "Failures" >> beam.Flatten(), notes | "Notes" >> beam.Flatten()
        )


class _TakenNames(beam.PTransform):
    """Collections of keys to (what more than one key claims, how many do)."""

    def expand(self, keys):
        return (
            keys
            | beam.Flatten()
            | "Claim" >> beam.FlatMap(claims)
            | beam.combiners.Count.PerElement()
            | "Twice" >> beam.Filter(lambda claim: claim[1] > 1)
        )


def _photo_key(source: Source) -> str:
    return source.path[len(source.root) :]


def read_source(source: Source, taken: Mapping[str, int]) -> Iterator[Attempt[ImageRecord]]:
    """Reads the images of a source.

    Args:
        source: An image file or a chunk of a shard.
        taken: What more than one image claims, see ``mask_names.claims``.
    """
    if source.count is not None:
        yield from read_chunk(source, taken)
        return
    key, mask = own_names(_photo_key(source), taken, source.path)
    yield attempt("read", key, _read_photo, key, mask, source)


def rest_of_source(source: Source, count: int, error: Exception) -> Iterator[Attempt]:
    """Yields a failure for every image of a source after the first ``count``."""
    if source.count is not None:
        yield from rest_of_chunk(source, count, error)
    else:
        yield Attempt(failure=Failure.of(_photo_key(source), "read", error))


def read_pair(pair: tuple[str, str | None, str | None]) -> Iterator[Attempt[ImageRecord]]:
    """Reads an existing mask, in place of an image, and its ground truth.

    Args:
        pair: Key, path of the mask, path of the ground truth. One of the two may be None.
    """
    yield attempt("read", pair[0], _read_pair, *pair)


def _read_photo(key: str, mask: str, source: Source) -> ImageRecord:
    image = read_file(source.path)
    truth = None if source.truth is None else _read_truth(key, source.truth)
    return ImageRecord(Item(key, mask, content_of(key, image, truth), truth), image)


def _read_truth(key: str, path: str) -> Truth:
    """A truth that cannot be read says why: without it, the image still gets a mask."""
    read = attempt("read", key, read_file, path)
    return Truth(failure=read.failure) if read.failure else Truth(read.result)


def _read_pair(key: str, mask: str | None, truth: str | None) -> ImageRecord:
    if mask is None:
        raise BadImage("missing_mask", f"no mask for the truth {key}")
    if truth is None:
        raise BadImage("missing_truth", f"no truth for the mask {key}")
    image, stored = read_file(mask), Truth(read_file(truth))
    return ImageRecord(Item(key, mask, content_of(key, image, stored), stored), image)


def _rest_of_shard(file: tuple[str, str], _: int, error: Exception) -> Iterator[Attempt]:
    yield Attempt(failure=Failure.of(file[0], INDEX, error))


def _rest_of_pair(pair: tuple, _: int, error: Exception) -> Iterator[Attempt]:
    yield Attempt(failure=Failure.of(pair[0], "read", error))


def _index(timeout: float) -> TimedReads:
    return TimedReads(
        index_shard, ahead=2, at_once=2, name="index", timeout=timeout, on_timeout=_rest_of_shard
    )


def _reading(function: Callable, on_timeout: Callable, timeout: float) -> TimedReads:
    return TimedReads(
        function,
        ahead=AT_ONCE,
        at_once=AT_ONCE,
        name="read",
        timeout=timeout,
        on_timeout=on_timeout,
        counter="read",
    )
