"""Rows and failures to the report of the job."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace

import apache_beam as beam
from apache_beam.options.pipeline_options import GoogleCloudOptions
from apache_beam.pvalue import AsDict, AsSingleton

from pipeline.failures import Failure
from pipeline.job_settings import Job
from pipeline.output_layout import REPORT, REPORT_CONTENTS
from pipeline.records import MetricsRow
from pipeline.report.contents import Run, contents, versions
from pipeline.report.draw import draw_all
from pipeline.report.failed import Failed
from pipeline.report.figures import Figures
from pipeline.report.galleries import Picks
from pipeline.report.page import render
from pipeline.stages.blocks import unpack
from pipeline.stages.gather import Gather
from pipeline.stages.summary import count_and_example
from pipeline.storage.files import write_file

# What is gathered of rows: counts of all, and the few that are shown.
Gathered = tuple[Figures, Picks]


def run_of(pipeline: beam.Pipeline, job: Job) -> Run:
    """How a job is run, as far as that is known while its graph is built."""
    # A template is run later, and nobody says when.
    is_template = pipeline.options.view_as(GoogleCloudOptions).template_location is not None
    return Run(job, type(pipeline.runner).__name__, None if is_template else time.time(), 0, {})


class WriteReport(beam.PTransform):
    """(rows, failures, notes) to ``report.html``.

    Combiners keep counts, and the few rows that are shown, in memory that does not grow with their
    number. One worker reads photos and masks of these back, and writes the page.

    Args:
        job: The settings.
        run: How it is run.
        made: With ``--resume``, blocks of the rows that this run has made; else None.
    """

    def __init__(self, job: Job, run: Run, made: beam.PCollection | None = None):
        super().__init__()
        self.job = job
        self.run = run
        self.made = made

    def expand(self, rows_failures_notes):
        """Gathers, draws, writes."""
        rows, failures, notes = rows_failures_notes
        noted = (
            notes
            | "Note" >> beam.Map(lambda note: (note.kind, (note.count, note.example)))
            | "CountNotes" >> beam.CombinePerKey(count_and_example)
        )
        failed = failures | "Failed" >> beam.CombineGlobally(GatherFailures())
        gathered = rows | "Gather" >> Gather(GatherRows())
        made = None
        if self.made is not None:
            counts = self.made | "Made" >> beam.Map(lambda block: len(unpack(block)))
            made = AsSingleton(counts | "SumMade" >> beam.CombineGlobally(sum))
        return gathered | "Write" >> beam.Map(
            write_report, AsSingleton(failed), AsDict(noted), self.run, made
        )


class GatherRows(beam.CombineFn):
    """``MetricsRow`` to ``Gathered``."""

    def create_accumulator(self) -> Gathered:
        """Nothing of no image."""
        return Figures(), Picks()

    def add_input(self, gathered: Gathered, row: MetricsRow) -> Gathered:
        """Adds an image."""
        figures, picks = gathered
        figures.add(row.values, row.size, row.status, row.level_counts)
        picks.add(row)
        return gathered

    def merge_accumulators(self, parts: Iterable[Gathered]) -> Gathered:
        """Merges what bundles or workers have gathered."""
        parts = list(parts)
        figures = Figures().merge(figures for figures, _ in parts)
        return figures, Picks().merge(picks for _, picks in parts)

    def extract_output(self, gathered: Gathered) -> Gathered:
        """What was gathered."""
        return gathered


class GatherFailures(beam.CombineFn):
    """``Failure`` to ``Failed``."""

    def create_accumulator(self) -> Failed:
        """No failures."""
        return Failed()

    def add_input(self, failed: Failed, failure: Failure) -> Failed:
        """Adds a failure."""
        failed.add(failure)
        return failed

    def merge_accumulators(self, parts: Iterable[Failed]) -> Failed:
        """Merges what bundles or workers have gathered."""
        return Failed().merge(parts)

    def extract_output(self, failed: Failed) -> Failed:
        """What was gathered."""
        return failed


def write_report(
    gathered: Gathered,
    failed: Failed,
    notes: Mapping[str, tuple[int, str]],
    run: Run,
    made: int | None = None,
) -> None:
    """Writes the report, and what it is made of.

    Args:
        gathered: What ``GatherRows`` has gathered.
        failed: Likewise of the failures.
        notes: What is said of the input to the number of cases and an example.
        run: How the job is run.
        made: Images that this run has made; None for all.
    """
    figures, picks = gathered
    run = replace(run, ended=time.time(), versions=versions(), made=made)
    made = contents(run, figures, failed, notes, picks.rows())
    write_file(run.job.output, REPORT_CONTENTS, made.to_json())
    write_file(run.job.output, REPORT, render(made, draw_all(made.rows(), run.job)))
