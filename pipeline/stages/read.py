"""Images from files of their own or from TFRecord shards.

Only names travel between workers: shards are indexed first, cut into chunks of a few records, and
read where the images are used.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator

import apache_beam as beam
from apache_beam.pvalue import AsDict

from pipeline.records import TAGS, Failure, Source
from pipeline.stages.threads import InThreads
from pipeline.storage.load import index_shard, load, load_pair, lost
from pipeline.storage.mask_names import claims, stem
from pipeline.storage.patterns import FindFiles, is_shard, place

# Enough to hide the latency of object stores.
AT_ONCE = 8


class ReadImages(beam.PTransform):
    """Patterns to ``ImageRecord``; ``"failures"``, and ``"done"``: ``Done`` of what need not be.

    Args:
        patterns: Files, folders or globs.
        input_format: ``"auto"``, ``"tfrecord"`` or ``"images"``.
        truth: Pattern of the ground truth of image files, matched by the path below the pattern's
            fixed folder, without suffix. Records of shards carry their own.
        timeout: Seconds that a read may take before it is a failure.
        output: The output folder.
        finished: What an earlier run has finished: (path of a mask, content); None for nothing.
    """

    def __init__(
        self,
        patterns: Iterable[str],
        input_format: str,
        truth: str | None,
        timeout: float,
        output: str = "",
        finished: beam.PCollection | None = None,
    ):
        super().__init__()
        self.patterns = tuple(patterns)
        self.input_format = input_format
        self.truth = truth
        self.timeout = timeout
        self.output = output
        self.finished = finished

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
        index = shards | "Index" >> beam.ParDo(_index(self.timeout)).with_outputs(
            "keys", "failures", main="chunks"
        )
        keys = sources | "Key" >> beam.Map(lambda source: source.path[len(source.root) :])
        taken = (
            (keys, index.keys)
            | "AllKeys" >> beam.Flatten()
            | "Claim" >> beam.FlatMap(claims)
            | beam.combiners.Count.PerElement()
            | "Taken" >> beam.Filter(lambda claim: claim[1] > 1)
        )
        side_inputs = [AsDict(taken), *([AsDict(self.finished)] if self.finished else [])]
        loaded = (
            (sources, index.chunks)
            | "AllSources" >> beam.Flatten()
            | beam.Reshuffle()
            | "Load"
            >> beam.ParDo(_load(self.output, self.timeout), *side_inputs).with_outputs(
                "failures", "done", main="images"
            )
        )
        failures = (
            found["failures"],
            truths["failures"],
            index.failures,
            loaded.failures,
        ) | "AllFailures" >> beam.Flatten()
        return {"images": loaded.images, "done": loaded.done, "failures": failures}


class ReadPairs(beam.PTransform):
    """Existing masks and their ground truth, matched as in ``ReadImages``, to ``ImageRecord``.

    A mask without truth, or a truth without mask, is a failure.

    Args:
        masks: Pattern of masks.
        truth: Pattern of their ground truth.
        timeout: As for ``ReadImages``.
        finished: Likewise.
    """

    def __init__(
        self, masks: str, truth: str, timeout: float, finished: beam.PCollection | None = None
    ):
        super().__init__()
        self.masks = masks
        self.truth = truth
        self.timeout = timeout
        self.finished = finished

    def expand(self, begin):
        """Finds both, joins and reads them."""
        masks = begin | "Find" >> FindFiles((self.masks,), "images")
        truths = begin | "FindTruth" >> FindFiles((self.truth,), "images")
        side_inputs = [AsDict(self.finished)] if self.finished else []
        loaded = (
            _stems(masks["files"], truths["files"])
            | "Join" >> beam.CoGroupByKey()
            | "Pair" >> beam.FlatMap(_pairs)
            | "Load"
            >> beam.ParDo(_load_pairs(self.timeout), *side_inputs).with_outputs(
                "failures", "done", main="images"
            )
        )
        failures = (
            masks["failures"],
            truths["failures"],
            loaded.failures,
        ) | "AllFailures" >> beam.Flatten()
        return {"images": loaded.images, "done": loaded.done, "failures": failures}


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
    # Photos and masks may lie in one folder; a photo is no truth of its own, however it is spelt.
    photos = {place(path) for path, _ in found["images"]}
    truths = (path for path, _ in found["truths"])
    truth = min((path for path in truths if place(path) not in photos), default=None)
    for path, folder in found["images"]:
        yield Source(path, root=folder, truth=truth)


def _pairs(joined) -> Iterator[tuple[str, str | None, str | None]]:
    """Key, mask and truth; one of the two may be missing."""
    _, found = joined
    masks, truths = sorted(found["images"]), sorted(found["truths"])
    for path, folder in masks or truths:
        key, truth = path[len(folder) :], truths[0][0] if truths else None
        yield (key, path, truth) if masks else (key, None, path)


def _index(timeout: float) -> InThreads:
    tags = {Failure: "failures", str: "keys"}
    return InThreads(index_shard, 2, 2, tags, "index", timeout=timeout, on_timeout=_lost_shard)


def _load(output: str, timeout: float) -> InThreads:
    function = functools.partial(load, output=output)
    return InThreads(function, AT_ONCE, AT_ONCE, TAGS, "read", "read", timeout, lost)


def _load_pairs(timeout: float) -> InThreads:
    return InThreads(load_pair, AT_ONCE, AT_ONCE, TAGS, "read", "read", timeout, _lost_pair)


def _lost_shard(file: tuple[str, str], count: int, error: Exception) -> Iterator[Failure]:
    yield Failure.of(file[0], "read", error)


def _lost_pair(pair: tuple, _: int, error: Exception) -> Iterator[Failure]:
    yield Failure.of(pair[0], "read", error)
