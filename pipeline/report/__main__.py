"""Makes the report of an output folder again; of two, a comparison."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import (
    AzureOptions,
    HadoopFileSystemOptions,
    PipelineOptions,
    S3Options,
)

from pipeline.output_layout import REPORT, REPORT_CONTENTS
from pipeline.report.compare import compare, rows_in_journal
from pipeline.report.compare_page import keys_of, render_comparison, rows_to_draw
from pipeline.report.contents import Contents, from_json
from pipeline.report.draw import draw_all
from pipeline.report.page import render
from pipeline.storage.errors import in_words
from pipeline.storage.files import read_file

DONE, BROKEN = 0, 1
COMPARISON = "comparison.html"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command, and returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.report", description=__doc__)
    parser.add_argument("output", help="the --output of a job")
    parser.add_argument("other", nargs="?", help="that of another, to be compared with the first")
    parser.add_argument(
        "--page",
        metavar="FILE",
        help="the page (default: report.html in the output; of two, ./comparison.html)",
    )
    storage = parser.add_argument_group("storage", "Beam's flags, as the job had them")
    for options in (S3Options, AzureOptions, HadoopFileSystemOptions):
        options._add_argparse_args(storage)
    arguments = parser.parse_args(argv)
    FileSystems.set_options(PipelineOptions.from_dictionary(_storage_of(arguments)))
    try:
        if arguments.other is None:
            page = arguments.page or FileSystems.join(arguments.output, REPORT)
            made = read_contents(arguments.output)
            html = render(made, draw_all(made.rows(), made.run.job))
        else:
            page = arguments.page or COMPARISON
            html = comparison(arguments.output, arguments.other)
        with FileSystems.create(page, compression_type="uncompressed") as file:
            file.write(html)
    except Exception as error:
        print(f"pipeline.report: {in_words(error)}", file=sys.stderr)
        return BROKEN
    print(page)
    return DONE


def _storage_of(arguments: argparse.Namespace) -> dict:
    """The flags of the storage that are given."""
    own = ("output", "other", "page")
    return {name: value for name, value in vars(arguments).items() if value and name not in own}


def comparison(first: str, second: str) -> bytes:
    """The page that compares two outputs.

    Raises:
        ValueError: One of them is not there, or was made without a report.
    """
    contents = [read_contents(output) for output in (first, second)]
    compared = compare(first, second)
    pairs = keys_of(compared)
    pictures = []
    for number, output in enumerate((first, second)):
        rows = rows_in_journal(output, [pair[number]["mask"] for pair in pairs.values()])
        job = contents[number].run.job
        pictures.append(draw_all(rows_to_draw(pairs, rows, number), job))
    shown = zip(pairs.values(), *pictures, strict=True)
    return render_comparison(*contents, compared, dict(zip(pairs, shown, strict=True)))


def read_contents(output: str) -> Contents:
    """What a job has written of its report.

    Raises:
        ValueError: It has written none, or another release has.
    """
    path = FileSystems.join(output, REPORT_CONTENTS)
    if not FileSystems.exists(path):
        raise ValueError(
            f"{output} holds no {REPORT_CONTENTS}, which a job writes at its end, unless "
            "--no_report is given; the same job with --resume and --report writes it"
        )
    try:
        return from_json(read_file(path), output)
    except ValueError as error:
        raise ValueError(f"{path} {error}") from error


if __name__ == "__main__":
    sys.exit(main())
