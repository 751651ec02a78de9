"""Lists the files of patterns. No file is opened."""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from pipeline.failures import Attempt, BadImage, attempt
from pipeline.records import Note
from pipeline.stages.outcomes import FAILURES, InputOutcome, emit
from pipeline.storage.patterns import Listing, list_pattern, names_a_shard, real_path, suffix_of

NOTES = "notes"


class ListFiles(beam.PTransform):
    """Patterns to (path, folder): each file once, however many patterns match it.

    Notes say which files of a folder are passed over because of their names.

    Args:
        patterns: What ``find_files`` takes.
        input_format: Likewise.
    """

    def __init__(self, patterns: tuple[str, ...], input_format: str):
        super().__init__()
        self.patterns = patterns
        self.input_format = input_format

    def expand(self, begin) -> InputOutcome:
        """Lists each pattern."""
        patterns = begin | beam.Create(self.patterns)
        listing = beam.ParDo(_List(self.input_format))
        listed = patterns | "List" >> listing.with_outputs(FAILURES, NOTES, main="results")
        once = (
            listed.results
            | "RealPath" >> beam.Map(lambda file: (real_path(file[0]), file))
            | beam.CombinePerKey(min)
            | beam.Values()
        )
        notes = (
            listed.notes
            | "NotePath" >> beam.Map(lambda n: ((n.kind, real_path(n.example)), n.example))
            | "OneNote" >> beam.CombinePerKey(min)
            | "Note" >> beam.MapTuple(lambda key, example: Note(key[0], example))
        )
        return InputOutcome(once, listed.failures, notes)


class _List(beam.DoFn):
    def __init__(self, input_format: str):
        self.input_format = input_format

    def process(self, pattern: str) -> Iterator:
        listing = list_pattern(pattern, self.input_format)
        yield from map(emit, attempts_of(listing))
        for note in notes_of(listing):
            yield TaggedOutput(NOTES, note)


def attempts_of(listing: Listing) -> Iterator[Attempt[tuple[str, str]]]:
    """The files of a listing.

    A file whose name is not UTF-8 is a failure: its path cannot travel between workers.
    """
    for path, folder in listing.files:
        yield attempt("read", _printable(path), _with_text_path, path, folder)


def notes_of(listing: Listing) -> Iterator[Note]:
    """What a listing passes over."""
    for path in listing.passed_over:
        hint = "; --input_format tfrecord reads them" if names_a_shard(path) else ""
        yield Note(f"files named {suffix_of(path)} are not read{hint}", _printable(path))
    for path in listing.outputs:
        yield Note("files are the output of an earlier job and are not read", _printable(path))


def _printable(path: str) -> str:
    return path.encode(errors="backslashreplace").decode()


def _with_text_path(path: str, folder: str) -> tuple[str, str]:
    try:
        path.encode()
    except UnicodeEncodeError:
        raise BadImage("bad_name", "the name of the file is not UTF-8") from None
    return path, folder
