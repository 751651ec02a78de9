"""Patterns to the sources of a job: listed, named and paired with their truth. Nothing is read."""

from __future__ import annotations

import apache_beam as beam

from model.annotations.read import is_annotation_file
from pipeline.job_settings import Job
from pipeline.stages.draw_truths import DrawTruths
from pipeline.stages.list_files import ListFiles
from pipeline.stages.list_truths import ListTruths
from pipeline.stages.name import NameSources
from pipeline.stages.outcomes import InputOutcome
from pipeline.stages.pair import PairMasks, PairPhotos, source_of_mask
from pipeline.stages.pair_drawn import PairDrawn
from pipeline.storage.raw_records import fields_of


class FindSources(beam.PTransform):
    """The ``Source`` of every image, shard, or mask to be scored.

    Args:
        job: The job, with its patterns.
    """

    def __init__(self, job: Job):
        super().__init__()
        self.job = job

    def expand(self, begin) -> InputOutcome:
        """Lists files, names them, pairs them."""
        return self._photos(begin) if self.job.masks is None else self._masks(begin)

    def _photos(self, begin) -> InputOutcome:
        job = self.job
        listed = begin | "ListFiles" >> ListFiles(job.inputs, job.input_format, manifests=True)
        sources = listed.results | "Name" >> NameSources(job.input_format)
        if job.truth is None:
            return InputOutcome(sources, listed.failures, listed.notes)
        if is_annotation_file(job.truth):
            truths = begin | "DrawTruths" >> DrawTruths(job)
            paired = (sources, truths.results) | "Pair" >> PairDrawn(scores=False)
        else:
            truths = begin | "ListTruths" >> ListTruths(job.truth, fields_of(job))
            paired = (sources, truths.results) | "Pair" >> PairPhotos(job.inputs, job.truth)
        return InputOutcome(
            paired.results,
            (listed.failures, truths.failures) | "Failures" >> beam.Flatten(),
            (listed.notes, truths.notes, paired.notes) | "Notes" >> beam.Flatten(),
        )

    def _masks(self, begin) -> InputOutcome:
        job = self.job
        masks = begin | "ListMasks" >> ListTruths(job.masks, fields_of(job))
        if is_annotation_file(job.truth):
            return self._annotated(begin, masks)
        truths = begin | "ListTruths" >> ListTruths(job.truth, fields_of(job))
        paired = (masks.results, truths.results) | "Pair" >> PairMasks(job.masks, job.truth)
        return InputOutcome(
            paired.results,
            (masks.failures, truths.failures, paired.failures) | "Failures" >> beam.Flatten(),
            (masks.notes, truths.notes, paired.notes) | "Notes" >> beam.Flatten(),
        )

    def _annotated(self, begin, masks: InputOutcome) -> InputOutcome:
        """Masks with the truths of an annotation file. It may be of some of them only."""
        truths = begin | "DrawTruths" >> DrawTruths(self.job)
        sources = masks.results | "Source" >> beam.Map(source_of_mask)
        paired = (sources, truths.results) | "Pair" >> PairDrawn(scores=True)
        return InputOutcome(
            paired.results,
            (masks.failures, truths.failures) | "Failures" >> beam.Flatten(),
            (masks.notes, truths.notes, paired.notes) | "Notes" >> beam.Flatten(),
        )
