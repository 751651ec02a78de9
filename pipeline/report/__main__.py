"""Makes the report of an output folder again; of two, a comparison."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from apache_beam.io.filesystems import FileSystems

from pipeline.output_layout import REPORT, REPORT_CONTENTS
from pipeline.report.contents import Contents, from_json
from pipeline.report.draw import draw_all
from pipeline.report.page import render
from pipeline.storage.errors import in_words
from pipeline.storage.files import read_file, write_file

DONE, BROKEN, USAGE = 0, 1, 2


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command, and returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.report", description=__doc__)
    parser.add_argument("output", help="the --output of a job")
    arguments = parser.parse_args(argv)
    try:
        made = read_contents(arguments.output)
        write_file(arguments.output, REPORT, render(made, draw_all(made.rows(), made.run.job)))
    except Exception as error:
        print(f"pipeline.report: {in_words(error)}", file=sys.stderr)
        return BROKEN
    print(FileSystems.join(arguments.output, REPORT))
    return DONE


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
