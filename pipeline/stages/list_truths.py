"""Lists ground truths: files, or records of shards."""

from __future__ import annotations

import functools

import apache_beam as beam

from pipeline.job_settings import Job
from pipeline.records import ListedFile, Note
from pipeline.stages.list_files import ListFiles
from pipeline.stages.outcomes import FAILURES, InputOutcome, emit
from pipeline.storage.pair_names import truth_glob
from pipeline.storage.raw_records import Fields, fields_of
from pipeline.storage.truth_shards import list_truths, shards_of_truth


class ListTruths(beam.PTransform):
    """The pattern of truths to ``ListedFile``. Of a shard, names are read, and the truths later.

    Args:
        job: The job, with its pattern.
    """

    def __init__(self, job: Job):
        super().__init__()
        self.job = job

    def expand(self, begin) -> InputOutcome:
        """Lists the files, and looks into shards."""
        truth = self.job.truth or ""
        form = shards_of_truth(truth)
        if form is None:
            return begin | ListFiles((truth_glob(truth),), "images")
        listed = begin | ListFiles((truth,), form)
        look = functools.partial(_look_into, fields=fields_of(self.job))
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
