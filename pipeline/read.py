"""Images from files of their own or from TFRecord shards.

Only names travel between workers: shards are indexed first, cut into chunks of a few records, and
read where the images are used.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from posixpath import basename

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.metrics import Metrics
from apache_beam.pvalue import TaggedOutput

from pipeline.find import FindFiles, is_shard
from pipeline.names import claims, mask_path, stem
from pipeline.records import BadImage, Failure, ImageRecord, Source
from pipeline.tfrecord import Features, parse, read_records

CHUNK = 32


def index_shard(path: str) -> Iterator[tuple[Source, list[str]] | Failure]:
    """Chunks of a shard with the keys of their records; a failure for a rest that is unreadable."""
    whole = path.lower().endswith(".gz")  # Compressed files cannot be entered in their middle.
    offset = start = number = 0
    keys: list[str] = []
    try:
        with FileSystems.open(path, compression_type=_compression(path)) as file:
            for taken, data in read_records(file):
                keys.append(_features(data, path, number)[0])
                offset, number = offset + taken, number + 1
                if len(keys) == CHUNK and not whole:
                    yield Source(path, offset=start, first=number - CHUNK, count=CHUNK), keys
                    start, keys = offset, []
    except Exception as error:
        yield Failure.of(f"{path}#{number}", "read", error)
    if keys:
        yield Source(path, offset=start, first=number - len(keys), count=len(keys)), keys


def load(source: Source, taken: Mapping[str, int]) -> Iterator[ImageRecord | Failure]:
    """Reads the images of a source.

    Args:
        source: An image file or a chunk of a shard.
        taken: The names that more than one image claims.
    """
    if source.count is None:
        key = source.path[len(source.root) :]
        try:
            truth = _read(source.truth) if source.truth else None
            image = _read(source.path)
        except Exception as error:
            yield Failure.of(key, "read", error)
        else:
            yield ImageRecord(key, mask_path(key, taken, source.path), image, truth)
        return

    number = source.first
    try:
        with FileSystems.open(source.path, compression_type=_compression(source.path)) as file:
            file.seek(source.offset)
            for _, data in read_records(file):
                yield _record(data, source.path, number, taken)
                number += 1
                if number == source.first + source.count:
                    return
        raise BadImage("truncated_shard", "the shard has fewer records than when it was indexed")
    except Exception as error:  # The index could read it: the storage failed since.
        for lost in range(number, source.first + source.count):
            yield Failure.of(f"{source.path}#{lost}", "read", error)


def _record(
    data: bytes | BadImage, path: str, number: int, taken: Mapping[str, int]
) -> ImageRecord | Failure:
    key, features = _features(data, path, number)
    if isinstance(features, BadImage):
        return Failure.of(key, "read", features)
    if features.image is None:
        return Failure.of(key, "read", BadImage("missing_feature", "no image/encoded"))
    mask = mask_path(key, taken, f"{path}#{number}")
    return ImageRecord(key, mask, features.image, features.truth)


def _features(data: bytes | BadImage, path: str, number: int) -> tuple[str, Features | BadImage]:
    """The key of a record, made up if it has none, and what it holds."""
    unnamed = f"{basename(path)}#{number}"
    if isinstance(data, BadImage):
        return unnamed, data
    try:
        features = parse(data)
    except BadImage as error:
        return unnamed, error
    return features.key or unnamed, features


def _read(path: str) -> bytes:
    with FileSystems.open(path, compression_type="uncompressed") as file:
        return file.read()


def _compression(path: str) -> str:
    return "gzip" if path.lower().endswith(".gz") else "uncompressed"


class ReadImages(beam.PTransform):
    """Patterns to ``ImageRecord``; failures under the tag ``"failures"``.

    Args:
        patterns: Files, folders or globs.
        input_format: ``"auto"``, ``"tfrecord"`` or ``"images"``.
        truth: Pattern of the ground truth of image files, matched by the path below the pattern's
            fixed folder, without suffix. Records of shards carry their own.
    """

    def __init__(self, patterns: Iterable[str], input_format: str, truth: str | None):
        super().__init__()
        self.patterns = tuple(patterns)
        self.input_format = input_format
        self.truth = truth

    def expand(self, begin):
        """Finds files, indexes shards, tells names apart, reads."""
        found = begin | "Find" >> FindFiles(self.patterns, self.input_format)
        images, shards = found["files"] | "Kind" >> beam.Partition(
            lambda file, _: int(is_shard(file[0], self.input_format)), 2
        )
        truths = begin | "FindTruth" >> FindFiles((self.truth,) if self.truth else (), "images")
        sources = (
            _stems(images, truths["files"])
            | "Join" >> beam.CoGroupByKey()
            | "Pair" >> beam.FlatMap(_sources)
        )
        index = shards | beam.ParDo(_Index()).with_outputs("keys", "failures", main="chunks")
        keys = sources | "Key" >> beam.Map(lambda source: source.path[len(source.root) :])
        taken = (
            (keys, index.keys)
            | "AllKeys" >> beam.Flatten()
            | "Claim" >> beam.FlatMap(claims)
            | beam.combiners.Count.PerElement()
            | "Taken" >> beam.Filter(lambda claim: claim[1] > 1)
        )
        loaded = (
            (sources, index.chunks)
            | "AllSources" >> beam.Flatten()
            | beam.Reshuffle()
            | beam.ParDo(_Load(), beam.pvalue.AsDict(taken)).with_outputs("failures", main="images")
        )
        failures = (
            found["failures"],
            truths["failures"],
            index.failures,
            loaded.failures,
        ) | "AllFailures" >> beam.Flatten()
        return {"images": loaded.images, "failures": failures}


class ReadPairs(beam.PTransform):
    """Existing masks and their ground truth, matched as in ``ReadImages``, to ``ImageRecord``.

    A mask without truth, or a truth without mask, is a failure.

    Args:
        masks: Pattern of masks.
        truth: Pattern of their ground truth.
    """

    def __init__(self, masks: str, truth: str):
        super().__init__()
        self.masks = masks
        self.truth = truth

    def expand(self, begin):
        """Finds both, joins and reads them."""
        masks = begin | "Find" >> FindFiles((self.masks,), "images")
        truths = begin | "FindTruth" >> FindFiles((self.truth,), "images")
        loaded = (
            _stems(masks["files"], truths["files"])
            | "Join" >> beam.CoGroupByKey()
            | beam.ParDo(_LoadPairs()).with_outputs("failures", main="images")
        )
        failures = (
            masks["failures"],
            truths["failures"],
            loaded.failures,
        ) | "AllFailures" >> beam.Flatten()
        return {"images": loaded.images, "failures": failures}


def _stems(images, truths) -> dict:
    return {
        "images": images | "Stem" >> beam.Map(_by_stem),
        "truths": truths | "StemOfTruth" >> beam.Map(_by_stem),
    }


def _by_stem(file: tuple[str, str]) -> tuple[str, tuple[str, str]]:
    path, folder = file
    return stem(path[len(folder) :]), file


def _sources(joined) -> Iterator[Source]:
    _, found = joined
    truth = min((path for path, _ in found["truths"]), default=None)
    for path, folder in found["images"]:
        yield Source(path, root=folder, truth=truth)


class _Index(beam.DoFn):
    def process(self, file: tuple[str, str]):
        for found in index_shard(file[0]):
            if isinstance(found, Failure):
                yield TaggedOutput("failures", found)
            else:
                chunk, keys = found
                yield chunk
                for key in keys:
                    yield TaggedOutput("keys", key)


class _Load(beam.DoFn):
    def __init__(self):
        self.read = Metrics.counter("images", "read")

    def process(self, source: Source, taken: Mapping[str, int]):
        for loaded in load(source, taken):
            if isinstance(loaded, Failure):
                yield TaggedOutput("failures", loaded)
            else:
                self.read.inc()
                yield loaded


class _LoadPairs(beam.DoFn):
    def __init__(self):
        self.read = Metrics.counter("images", "read")

    def process(self, joined):
        _, found = joined
        masks, truths = sorted(found["images"]), sorted(found["truths"])
        for path, folder in masks or truths:
            key = path[len(folder) :]
            try:
                if not masks:
                    raise BadImage("missing_mask", f"no mask for the truth {key}")
                if not truths:
                    raise BadImage("missing_truth", f"no truth for the mask {key}")
                record = ImageRecord(key, path, _read(path), _read(truths[0][0]))
            except Exception as error:
                yield TaggedOutput("failures", Failure.of(key, "read", error))
            else:
                self.read.inc()
                yield record
