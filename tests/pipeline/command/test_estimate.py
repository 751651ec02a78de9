"""What a job would take, by a few of its images."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.command.estimate import BYTES, SECONDS, Tried, estimate, expected, in_words, try_out
from pipeline.command.plan import describe, listed
from pipeline.job_settings import Job
from tests.end_to_end.command import write_network
from tests.pipeline.shard_files import example, files_below, write_shard


@pytest.fixture
def job(tmp_path, monkeypatch):
    """A job with eleven photos, one of which is none, in a folder to be in."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    rng = np.random.default_rng(0)
    rough = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize((320, 240))
    for number in range(10):
        rough.save(f"in/{number}.jpg")
    Path("in/none.jpg").write_bytes(b"no photo")
    write_network("net.keras")
    return Job("out", inputs=("in",), model="net.keras", image_size=64, batch_size=4)


def test_photos_are_tried_and_nothing_is_left_behind(job):
    before = files_below(".")
    _, files = listed(job)
    tried, loading = try_out(job, files, [])
    # Eight were read; one of them is none.
    assert len(tried) == 7 and loading > 0
    size = Path("in/0.jpg").stat().st_size
    assert all(one.read == size and one.seconds > 0 and one.written > 100 for one in tried)
    assert files_below(".") == before


def test_the_lines_of_a_plan(job):
    _, *size_and_more, output = describe(
        job, False, lambda files: estimate(job, files, None)
    ).splitlines()[1:]
    size, expect, without, disk = size_and_more
    total = sum(path.stat().st_size for path in Path("in").iterdir())
    assert size == f"size     {in_words(total, BYTES)}"
    assert re.fullmatch(r"expect   .+ to .+ on \d+ cores .+, for 11 images; by 7 .+", expect)
    assert without == "         without reading from where the images are"
    assert re.fullmatch(r"disk     about [\d.]+ [kM]?B, .+ to .+ for each image .+", disk)
    assert output.startswith("output   ")


def test_images_of_shards_are_counted_by_their_bytes(job):
    image = Path("in/0.jpg").read_bytes()
    write_shard("s.tfrecord", [example(image=image) for _ in range(40)])
    shards = replace(job, inputs=("s.tfrecord",))
    _, files = listed(shards)
    (line,) = (one for one in estimate(shards, files, None) if one.startswith("expect"))
    count = int(re.search(r"for about (\d+) images", line)[1])
    # Names and checksums are bytes, too.
    assert 40 <= count <= 44


def test_where_nothing_can_be_tried_only_the_size_is_known(job):
    files = [file for file in listed(job)[1] if "none" in file.path]
    assert estimate(job, files, None) == [
        "size     8 bytes",
        "expect   not known: none of the images that were tried has a mask",
    ]
    gone = replace(job, model="gone.keras")
    _, line = estimate(gone, listed(gone)[1], None)
    assert line.startswith("expect   not known: ")


def test_of_other_machines_only_the_work_is_said():
    job = Job("out", inputs=("in",), truth="t", annotations=("coco",), resume=True)
    tried = [Tried(0.5, 0.4, 10, 1000), Tried(0.5, 0.6, 10, 3000)]
    assert expected(job, tried, 3.0, 7200, "", "Dataflow's workers") == [
        "expect   1.0 h of a processor such as this machine's, for 7200 images; by 2 that were "
        "tried here",
        "         without reading from where the images are, metrics of ground truth, annotations "
        "and what --resume keeps",
        "disk     about 14 MB, 1.0 kB to 3.0 kB for each image that was tried, and the rows",
    ]


@pytest.mark.parametrize(
    ("number", "units", "words"),
    [
        *((0, BYTES, "0 bytes"), (999, BYTES, "999 bytes"), (1234, BYTES, "1.2 kB")),
        *((45_600_000, BYTES, "46 MB"), (3e15, BYTES, "3000 TB")),
        *((5, SECONDS, "5.0 s"), (90, SECONDS, "1.5 min"), (360_000, SECONDS, "100 h")),
    ],
)
def test_numbers_are_said_in_units_that_fit(number, units, words):
    assert in_words(number, units) == words
