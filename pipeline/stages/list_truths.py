"""Lists ground truths, or masks that are scored: files, or records of shards."""

from __future__ import annotations

import functools

import apache_beam as beam

from pipeline.records import ListedFile, Note
from pipeline.stages.list_files import ListFiles
from pipeline.stages.outcomes import FAILURES, InputOutcome, emit
from pipeline.storage.pair_names import truth_glob
from pipeline.storage.raw_records import Fields
from pipeline.storage.truth_shards import list_truths, shards_of_truth


class ListTruths(beam.PTransform):
    """A pattern of truths to ``ListedFile``. Of a shard, names are read, and the truths later.

    Args:
        pattern: The pattern.
        fields: What is meant in the records of shards.
    """

    def __init__(self, pattern: str, fields: Fields):
        super().__init__()
        self.pattern = pattern
        self.fields = fields

    def expand(self, begin) -> InputOutcome:
        """Lists the files, and looks into shards."""
        form = shards_of_truth(self.pattern)
        if form is None:
            return begin | ListFiles((truth_glob(self.pattern),), "images")
        listed = begin | ListFiles((self.pattern,), form)
        look = functools.partial(_look_into, fields=self.fields)
        records = (
            listed.results
            | beam.Reshuffle()
            | "Records" >> beam.FlatMap(look).with_outputs(FAILURES, main="results")
        )
        truths, nameless = records.results | beam.Partition(
            lambda one, _: int(isinstance(one, Note)), 2
        )
        failures = (listed.failures, records.failures) | "Failures" >> beam.Flatten()
        notes = (listed.notes, nameless) | "Notes" >> beam.Flatten()
        return InputOutcome(truths, failures, notes)


def _look_into(shard: ListedFile, fields: Fields):
    return map(emit, list_truths(shard, fields))
