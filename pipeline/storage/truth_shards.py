"""Ground truths in shards: named by their records, and read by whoever loads the image.

A truth is a place: its shard, the shard's format, and where in it the record begins.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import unquote

from pipeline.failures import Attempt, BadImage, EndsJob, Failure
from pipeline.records import Chunk, ListedFile, Note, Source
from pipeline.storage import parquet_columns, tfrecord, webdataset
from pipeline.storage.files import read_file
from pipeline.storage.patterns import IMAGES, format_of
from pipeline.storage.raw_records import Fields, NothingThere
from pipeline.storage.shards import INDEX, NAMES, raw_records

_PLACE = re.compile(r"(?s)(.+)#(tfrecord|webdataset|parquet):(\d+)")
_TRUTHS = {
    "tfrecord": tfrecord.TRUTH,
    "webdataset": webdataset.TRUTH,
    "parquet": parquet_columns.TRUTH,
}
NAMELESS = "records of ground truths have no name, or are damaged, and are not used"
# Columns of names, in the order in which they are looked for.
_NAMES = ("name", "image.path")


def shards_of_truth(pattern: str) -> str | None:
    """The format of the shards of truths that a pattern names; None if it names none."""
    form = format_of(pattern)
    return None if form == IMAGES else form


def list_truths(shard: ListedFile, fields: Fields) -> Iterator[Attempt[ListedFile | Note]]:
    """The truths of a shard, each with its name. No truth is read but of TFRecord.

    Args:
        shard: The shard.
        fields: What is meant in its records.

    Yields:
        A file whose path is the truth's place; a note of a record whose name cannot be told; a
        failure where names cannot be read.
    """
    form, place, number = format_of(shard.path), 0, 0
    source = Source(shard.path, "", "", chunk=Chunk(form=form))
    try:
        for raw in raw_records(source, truth_fields(shard.path, form, fields), readers=NAMES):
            if raw.lost is not None:
                yield _lost(shard.path, number, raw.lost)
            elif name := _name(raw.parse, form, fields):
                path = f"{shard.path}#{form}:{place}"
                yield Attempt(replace(shard, path=path, name=name))
            else:
                yield Attempt(Note(NAMELESS, f"{shard.path}#{number}"))
            place, number = raw.after, number + raw.count
    except EndsJob:
        raise
    except Exception as error:
        yield _lost(shard.path, number, error)


def read_truth(path: str, fields: Fields) -> bytes | None:
    """Reads a truth: a file, or a record of a shard; None if the record holds none.

    Args:
        path: The file, or the place that ``list_truths`` gave.
        fields: What is meant in the records of shards.

    Raises:
        BadImage: It is no truth.
        InputLost: No other file could be read there, either.
        Exception: It cannot be read.
    """
    place = _PLACE.fullmatch(path)
    if place is None:
        return read_file(path)
    shard, form, at = place[1], place[2], int(place[3])
    source = Source(shard, "", "", chunk=Chunk(form=form))
    raw = next(raw_records(source, truth_fields(shard, form, fields), at), None)
    if raw is None or raw.lost is not None:
        raise BadImage("broken_shard", "the shard of the truth has changed, or is damaged")
    features = raw.parse()
    if features.fault is not None and not isinstance(features.fault, NothingThere):
        raise features.fault
    return features.image


@functools.lru_cache(maxsize=256)
def truth_fields(path: str, form: str, fields: Fields) -> Fields:
    """Fields by which a reader takes the truth of a record for its image."""
    truth = fields.truth or _TRUTHS[form]
    if form != "parquet" or fields.name:
        return Fields(image=truth, name=fields.name)
    source = Source(path, "", "", chunk=Chunk(form=form))
    for name in _NAMES:
        try:
            next(raw_records(source, Fields(image=truth, name=name), readers=NAMES), None)
            return Fields(image=truth, name=name)
        except BadImage as error:
            if error.reason != "missing_column":
                raise
    return Fields(image=truth)


def _name(parse, form: str, fields: Fields) -> str:
    """The name of a record; empty if it has none, or is damaged."""
    try:
        key = parse().key
    except BadImage:
        return ""
    # Members of one key cannot have a dot in it.
    return unquote(key) if form == "webdataset" and not fields.name else key


def _lost(path: str, number: int, error: Exception) -> Attempt:
    return Attempt(failure=Failure.of(f"{path}#{number}", INDEX, error))
