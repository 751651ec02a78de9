"""Lists the files of patterns and manifests. No file but a manifest is opened."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from pipeline.failures import Attempt, BadImage, InputLost, attempt
from pipeline.records import ListedFile, Note
from pipeline.stages.blocks import GroupInBlocks
from pipeline.stages.outcomes import FAILURES, InputOutcome, emit
from pipeline.storage.errors import persistently
from pipeline.storage.manifest import manifest_of, read_manifest
from pipeline.storage.patterns import Listing, list_pattern, names_a_shard, real_path, suffix_of

NOTES = "notes"


class ListFiles(beam.PTransform):
    """Patterns to ``ListedFile``: each file once, however many patterns match it.

    Notes say which files of a folder are passed over because of their names.

    Args:
        patterns: What ``list_pattern`` takes, or a manifest behind ``@``.
        input_format: As for ``list_pattern``.
        manifests: Whether a pattern behind ``@`` is a manifest.
    """

    def __init__(self, patterns: tuple[str, ...], input_format: str, *, manifests: bool = False):
        super().__init__()
        self.patterns = patterns
        self.input_format = input_format
        self.manifests = manifests

    def expand(self, begin) -> InputOutcome:
        """Lists each pattern."""
        patterns = begin | beam.Create(self.patterns)
        listing = beam.ParDo(_List(self.input_format, self.manifests))
        listed = patterns | "List" >> listing.with_outputs(FAILURES, NOTES, main="results")
        files, notes = listed.results, listed.notes
        if len(self.patterns) > 1 or any(map(manifest_of, self.patterns)):
            by_path = files | "RealPath" >> beam.Map(lambda file: (real_path(file.path), file))
            same = (by_path,) | "Same" >> GroupInBlocks()
            files = same | "First" >> beam.MapTuple(lambda _, found: first_of(*found))
            at_odds = same | "AtOdds" >> beam.FlatMapTuple(lambda _, found: at_odds_of(*found))
            notes = (notes, at_odds) | "AllNotes" >> beam.Flatten()
            notes = (
                notes
                | "NotePath" >> beam.Map(lambda n: ((n.kind, real_path(n.example)), n.example))
                | "OneNote" >> beam.CombinePerKey(min)
                | "Note" >> beam.MapTuple(lambda key, example: Note(key[0], example))
            )
        return InputOutcome(files, listed.failures, notes)


class _List(beam.DoFn):
    def __init__(self, input_format: str, manifests: bool):
        self.input_format = input_format
        self.manifests = manifests

    def process(self, pattern: str) -> Iterator:
        manifest = manifest_of(pattern) if self.manifests else None
        if manifest is not None:
            yield from map(emit, read_manifest(manifest))
            return
        list_it = functools.partial(list_pattern, pattern, self.input_format)
        listing = persistently(list_it, InputLost, pattern)
        yield from map(emit, attempts_of(listing))
        for note in notes_of(listing):
            yield TaggedOutput(NOTES, note)


def first_of(same: list[ListedFile]) -> ListedFile:
    """Of the entries of one file, the one that counts: what a manifest says of it comes first."""
    return min(same, key=lambda file: (not file.truth, not file.name, file))


def at_odds_of(same: list[ListedFile]) -> Iterator[Note]:
    """Notes on the entries of one file that say something else than the one that counts."""
    first = first_of(same)
    for file in same:
        if (file.name or first.name, file.truth or first.truth) != (first.name, first.truth):
            yield Note("entries name a file again, with another name or truth", file.path)


def attempts_of(listing: Listing) -> Iterator[Attempt[ListedFile]]:
    """The files of a listing.

    A file whose name is not UTF-8 is a failure: its path cannot travel between workers.
    """
    for file in listing.files:
        yield attempt("read", _printable(file.path), _with_text_path, file)


def notes_of(listing: Listing) -> Iterator[Note]:
    """What a listing passes over."""
    for path in listing.passed_over:
        hint = "; --input_format tfrecord reads them" if names_a_shard(path) else ""
        yield Note(f"files named {suffix_of(path)} are not read{hint}", _printable(path))
    for path in listing.outputs:
        yield Note("files are the output of an earlier job and are not read", _printable(path))


def _printable(path: str) -> str:
    return path.encode(errors="backslashreplace").decode()


def _with_text_path(file: ListedFile) -> ListedFile:
    try:
        file.path.encode()
    except UnicodeEncodeError:
        raise BadImage("bad_name", "the name of the file is not UTF-8") from None
    return file
