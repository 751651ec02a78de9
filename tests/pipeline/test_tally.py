"""What is counted in threads of the pipeline's own reaches Beam's counters."""

import apache_beam as beam

from pipeline.failures import Attempt
from pipeline.stages.outcomes import split_attempts
from pipeline.stages.threads import InThreads
from pipeline.stages.timed_reads import TimedReads
from pipeline.storage.files import read_file, write_file
from pipeline.tally import add, tallied


def test_each_thread_has_its_own_tally_and_without_one_nothing_is_counted():
    add("apples", 1)
    with tallied() as outer:
        add("apples", 2)
        with tallied() as inner:
            add("apples", 3)
        add("pears", 4)
    add("apples", 5)
    assert (outer, inner) == ({"apples": 2, "pears": 4}, {"apples": 3})


def test_bytes_that_threads_read_and_write_are_counted_by_beam(tmp_path):
    def write(number):
        write_file(str(tmp_path), f"{number}", bytes(number))
        return Attempt(number)

    def read(number):
        yield Attempt(len(read_file(f"{tmp_path}/{number}")))

    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        writing = InThreads(write, 2, "write", "written")
        written = split_attempts(pipeline | beam.Create([1, 20, 300]), "Write", writing)
        reading = TimedReads(
            read, ahead=2, at_once=2, name="read", timeout=60, on_timeout=lambda *_: ()
        )
        split_attempts(written.results, "Read", reading)
    metrics = pipeline.result.metrics().query()
    found = {one.key.metric.name: one.committed for one in metrics["counters"]}
    assert found == {"written": 3, "bytes_written": 321, "bytes_read": 321}
    spread = {one.key.metric.name: one.committed for one in metrics["distributions"]}
    assert spread["read_waited_microseconds"].count == 3
