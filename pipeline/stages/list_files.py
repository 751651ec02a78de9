"""Lists the files of patterns. No file is opened."""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam

from pipeline.failures import Attempt, BadImage, attempt
from pipeline.stages.outcomes import Outcome, emit, split_attempts
from pipeline.storage.patterns import find_files, real_path


class ListFiles(beam.PTransform):
    """Patterns to (path, folder): each file once, however many patterns match it.

    Args:
        patterns: What ``find_files`` takes.
        input_format: Likewise.
    """

    def __init__(self, patterns: tuple[str, ...], input_format: str):
        super().__init__()
        self.patterns = patterns
        self.input_format = input_format

    def expand(self, begin) -> Outcome:
        """Lists each pattern."""
        patterns = begin | beam.Create(self.patterns)
        listed = split_attempts(patterns, "List", _List(self.input_format))
        once = (
            listed.results
            | "RealPath" >> beam.Map(lambda file: (real_path(file[0]), file))
            | beam.CombinePerKey(min)
            | beam.Values()
        )
        return Outcome(once, listed.failures)


class _List(beam.DoFn):
    def __init__(self, input_format: str):
        self.input_format = input_format

    def process(self, pattern: str) -> Iterator:
        yield from map(emit, list_files(pattern, self.input_format))


def list_files(pattern: str, input_format: str) -> Iterator[Attempt[tuple[str, str]]]:
    """Lists the files of one pattern; see ``find_files``.

    A file whose name is not UTF-8 is a failure: its path cannot travel between workers.
    """
    for path, folder in find_files(pattern, input_format):
        printable = path.encode(errors="backslashreplace").decode()
        yield attempt("read", printable, _with_text_path, path, folder)


def _with_text_path(path: str, folder: str) -> tuple[str, str]:
    try:
        path.encode()
    except UnicodeEncodeError:
        raise BadImage("bad_name", "the name of the file is not UTF-8") from None
    return path, folder
