"""What is finished is left out with its row, by a join with the journal; nothing is read for it."""

from dataclasses import replace
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.io.filesystem import BeamIOError
from apache_beam.testing.util import assert_that, equal_to

from pipeline.job_settings import Job
from pipeline.records import Chunk, Finished, Item, MetricsRow, Origin, Source, Stored
from pipeline.stages.resume import Resume, compare_all
from pipeline.storage.journal_files import append, start, withdraw
from tests.pipeline.object_store import ObjectStore
from tests.pipeline.shard_files import lay


def photo(name, stamp="3-1.5"):
    # The file is not there: a resumed run does not read it.
    return Source(f"/nowhere/{name}.jpg", f"{name}.jpg", f"masks/{name}.png", stamp=stamp)


def row_of(source, number=0, is_last=True, stamp="3-1.5", content="c"):
    mask = source.mask if source.chunk is None else f"{source.mask}/{number}.png"
    origin = Origin(source.mask, stamp, number, is_last, source.path)
    return MetricsRow(Item("k", mask, content, origin=origin), (3, 4), "ok", {"mae": number})


SHARD = Source("/nowhere/s.tfrecord", "s", "masks/s", stamp="3-1.5", chunk=Chunk())
RECORDS = [row_of(SHARD, number, number == 2) for number in range(3)]


@pytest.fixture
def output(tmp_path):
    """An output folder with a journal and a few masks."""
    start(Job(str(tmp_path)))
    lay(tmp_path, "masks/a.png", *(f"masks/s/{number}.png" for number in range(4)))
    return str(tmp_path)


def compared(source, rows, output, scores=False, verify=False, job=None):
    job = job or Job(output, masks="m" if scores else None, verify=verify)
    (attempt,) = compare_all([(source, rows)], job)
    return attempt.result


def is_left_out(source, rows, output, **flags):
    found = compared(source, rows, output, **flags)
    if found.source is None:
        return sorted(one.values["mae"] for one in found.rows) == list(range(len(found.rows)))
    # What is read is compared with all that is known of it.
    assert [one.row for one in found.source.finished] == rows and found.rows == ()
    return False


def test_a_file_whose_listing_is_what_it_was_and_that_has_its_mask_is_finished(output):
    source = photo("a")
    assert is_left_out(source, [row_of(source)], output)
    assert not is_left_out(source, [], output)
    assert not is_left_out(source, [row_of(source)], output, verify=True)


def test_what_was_wanted_beside_the_mask_or_the_shard_that_it_is_in_is_missed_too(output):
    source = photo("a")
    lay(output, "cutouts/a.png", "masks/masks-00000-of-00001.tar")
    both = {"job": Job(output, cutouts="png", overlays=True)}
    assert not is_left_out(source, [row_of(source)], output, **both)
    lay(output, "overlays/a.jpg")
    assert is_left_out(source, [row_of(source)], output, **both)

    def stored(file):
        row = row_of(source)
        return [replace(row, item=replace(row.item, stored=Stored(file, 0, 9)))]

    assert is_left_out(source, stored("masks/masks-00000-of-00001.tar"), output)
    assert not is_left_out(source, stored("journal/parts/gone.bin"), output)


@pytest.mark.parametrize("stamp", ["3-2.5", "4-1.5", ""])
def test_a_file_whose_listing_says_something_else_is_read(output, stamp):
    source = photo("a", stamp)
    assert not is_left_out(source, [row_of(source)], output)


def test_what_nobody_has_listed_is_read(output):
    source = photo("a", "")
    assert not is_left_out(source, [row_of(source, stamp="")], output)


def test_a_file_whose_mask_is_gone_or_whose_row_was_withdrawn_is_read(output):
    gone = photo("b")
    assert not is_left_out(gone, [row_of(gone)], output)
    (finished,) = compared(gone, [row_of(gone)], output).source.finished
    assert finished == Finished(row_of(gone), mask_is_there=False)
    assert not is_left_out(photo("a"), [row_of(photo("a"), content="")], output)


def test_a_shard_is_finished_when_all_its_records_are(output):
    assert is_left_out(SHARD, RECORDS, output)
    assert is_left_out(SHARD, RECORDS[::-1], output)
    for missing in range(3):
        rows = RECORDS[:missing] + RECORDS[missing + 1 :]
        assert not is_left_out(SHARD, rows, output)
    withdrawn = replace(RECORDS[1], item=replace(RECORDS[1].item, content=""))
    assert not is_left_out(SHARD, [RECORDS[0], withdrawn, RECORDS[2]], output)
    Path(output, "masks", "s", "1.png").unlink()
    assert not is_left_out(SHARD, RECORDS, output)


def test_rows_of_what_a_shard_was_before_count_for_nothing(output):
    old = [row_of(SHARD, number, number == 3, stamp="2-1.5") for number in range(4)]
    old[2] = replace(old[2], item=replace(old[2].item, mask="masks/s/gone.png"))
    found = compared(SHARD, [*old, *RECORDS], output)
    assert found.source is None and list(found.rows) == RECORDS
    assert not is_left_out(SHARD, old, output)


def test_of_masks_that_are_scored_none_is_looked_for(output):
    source = Source("/nowhere/m.png", "m.png", "/nowhere/m.png", "/t.png", stamp="3-1.5")
    assert is_left_out(source, [row_of(source)], output, scores=True)


class Unreachable(ObjectStore):
    """A bucket that does not answer for some objects."""

    @classmethod
    def scheme(cls):
        return "unreachable"

    def exists(self, path):
        if "bad" in path:
            raise BeamIOError("the bucket does not answer")
        return path == "unreachable://out/masks/a.png"


def test_storage_that_fails_while_a_mask_is_looked_for_costs_one_source():
    sources = [photo("a"), photo("bad"), photo("b")]
    pairs = [(one, [row_of(one)]) for one in sources]
    first, second, third = compare_all(pairs, Job("unreachable://out"))
    assert first.result.source is None and third.result.source is not None
    failure = second.failure
    assert (failure.key, failure.stage, failure.reason) == ("bad.jpg", "read", "BeamIOError")
    assert failure.message.startswith("the bucket does not answer")


# In a pipeline


def test_finished_sources_are_left_out_and_their_rows_are_there_instead(output):
    kept, changed, new = photo("a"), photo("b", "9-9.5"), photo("new")
    append(output, [row_of(kept), row_of(changed), *RECORDS[:2]])
    append(output, [RECORDS[2], row_of(photo("no longer there"))])
    # Of rows of one mask the last counts.
    append(output, [row_of(photo("c"))])
    lay(output, "masks/c.png", "masks/b.png")
    withdraw(output, row_of(photo("c")))
    sources = [kept, changed, new, SHARD, photo("c")]
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        resumed = pipeline | beam.Create(sources) | Resume(Job(output))
        todo = resumed.results | "Todo" >> beam.Map(lambda one: (one.key, len(one.finished)))
        assert_that(todo, equal_to([("b.jpg", 1), ("new.jpg", 0), ("c.jpg", 1)]), label="todo")
        assert_that(resumed.rows, equal_to([row_of(kept), *RECORDS]), label="rows")
        assert_that(resumed.failures, equal_to([]), label="failures")
    counters = pipeline.result.metrics().query()["counters"]
    assert [(one.key.metric.name, one.committed) for one in counters] == [("kept", 4)]
