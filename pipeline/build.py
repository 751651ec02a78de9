"""The whole graph, in the order of the data."""

from __future__ import annotations

import apache_beam as beam

from pipeline.job_settings import Job
from pipeline.output_layout import FAILURES, METRICS
from pipeline.stages.annotate import Annotate
from pipeline.stages.annotations import WriteAnnotations
from pipeline.stages.blocks import Pack, unpack
from pipeline.stages.compact import CompactJournal
from pipeline.stages.cut import CutShards
from pipeline.stages.find import FindSources
from pipeline.stages.pack_masks import DropParts, PackMasks
from pipeline.stages.report import WriteReport, run_of
from pipeline.stages.resume import Resume
from pipeline.stages.review import FirstOfReview, WriteReview, of_review
from pipeline.stages.row_notes import notes_of_row
from pipeline.stages.rows import WriteLines
from pipeline.stages.summary import WriteSummary
from pipeline.storage.raw_records import fields_of


def build(pipeline: beam.Pipeline, job: Job) -> None:
    """Adds the job to a pipeline."""
    found = pipeline | "Find" >> FindSources(job)
    sources, rows, failures = found.results, [], [found.failures]

    if job.resume:
        resumed = sources | "Resume" >> Resume(job)
        sources = resumed.results
        rows.append(resumed.rows | "PackFinished" >> Pack())
        failures.append(resumed.failures)

    cut = sources | "Cut" >> CutShards(job.read_timeout, fields_of(job))
    hints = dict(hint.split("=", 1) for hint in job.hints)
    # Names only: what is read stays with the worker that reads it.
    annotated = (
        cut.results | beam.Reshuffle() | "Annotate" >> Annotate(job).with_resource_hints(**hints)
    )
    rows.append(annotated.results)
    rows = rows | "Rows" >> beam.Flatten() | "Row" >> beam.FlatMap(unpack)
    failures = (*failures, cut.failures, annotated.failures) | "Failures" >> beam.Flatten()

    written = [failures | "WriteFailures" >> WriteLines(job.output, FAILURES)]
    masks = rows
    if job.in_shards:
        packed = rows | "PackMasks" >> PackMasks(job)
        masks, rows = packed.in_parts, packed.rows
        written.append(packed.written)
    written.append(rows | "WriteRows" >> WriteLines(job.output, METRICS, job.metrics_format))
    of_rows = rows | "NotesOfRows" >> beam.FlatMap(notes_of_row)
    notes = (found.notes, of_rows) | "AllNotes" >> beam.Flatten()
    if job.report:
        first = masks | "First" >> FirstOfReview()
        review = first | "WriteReview" >> WriteReview(job)
        written.append(review.written)
        notes = (notes, review.notes) | "ReviewNotes" >> beam.Flatten()
    if job.annotations:
        marked = first | "Reviewed" >> beam.FlatMap(of_review, job) if job.review else masks
        annotations = marked | "WriteAnnotations" >> WriteAnnotations(job)
        written.append(annotations.written)
        notes = (notes, annotations.notes) | "Notes" >> beam.Flatten()
    if job.report:
        run, made = run_of(pipeline, job), annotated.made if job.resume else None
        written.append((masks, failures, notes) | "WriteReport" >> WriteReport(job, run, made))
    summary = WriteSummary(job.output, after=written | "Written" >> beam.Flatten())
    summed_up = (rows, failures, notes) | "WriteSummary" >> summary
    if job.in_shards:
        summed_up = summed_up | "DropParts" >> DropParts(job.output, packed.shape)
    summed_up | "CompactJournal" >> CompactJournal(job.output)
