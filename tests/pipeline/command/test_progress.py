"""What is said of how far a job is; whole jobs on a terminal are in tests/end_to_end."""

import io
import os
import time
from collections import Counter

import pytest

from pipeline.command.progress import LOOK, Progress, Speed, activity, in_hours, standing
from pipeline.progress_counts import FOLDER, NAMES, count


def counts(**numbers):
    return Counter(dict.fromkeys(NAMES, 0)) | Counter(numbers)


@pytest.mark.parametrize(
    ("numbers", "expected", "text"),
    [
        ({"images": 9, "done": 3, "failed": 1}, 9, "4 of 9 images, 1 failures"),
        (
            {"images": 9, "done": 3, "kept": 2, "earlier": 7},
            9,
            "5 of 9 images (7 more of an earlier run), 0 failures",
        ),
        (
            {"images": 5, "records": 5, "shards": 2, "done": 1},
            None,
            "1 images, 2 of 2 shards unread, 0 failures",
        ),
        # Ten files, and four shards; one has brought 30 images, and another 2 until now.
        (
            {"images": 42, "records": 32, "shards": 4, "shards_read": 1, "done": 20},
            42 + 3 * 32,
            "20 of about 138 images, 3 of 4 shards unread, 0 failures",
        ),
        ({"images": 42, "records": 32, "shards": 2, "shards_read": 2}, 42, None),
        # A read that was given up stands for images that nobody has counted.
        ({"images": 1, "done": 1, "failed": 1}, 2, "2 of 2 images, 1 failures"),
    ],
)
def test_what_is_done_of_how_many(numbers, expected, text):
    found = standing(counts(**numbers))
    assert found.expected == expected
    assert text is None or found.text == text


@pytest.mark.parametrize(
    ("numbers", "what"),
    [
        ({}, "listing the input"),
        ({"images": 3, "loading": 1}, "loading the network"),
        ({"shards": 3, "loading": 2}, "loading the network"),
        ({"images": 3}, ""),
        ({"images": 3, "done": 1, "loading": 1}, ""),
        ({"images": 3, "done": 2, "failed": 1}, "writing the results"),
        ({"images": 3, "done": 3, "shards": 1}, ""),
    ],
)
def test_what_goes_on(numbers, what):
    found = counts(**numbers)
    assert activity(found, standing(found)) == what


def test_the_speed_is_that_of_the_last_minute():
    speed = Speed()
    assert speed.at(0, 0) is None
    assert speed.at(10, 20) == 2
    assert speed.at(60, 20) == pytest.approx(1 / 3)
    assert speed.at(100, 120) == pytest.approx(100 / 40)


def test_times_are_said_as_clocks_say_them():
    assert [in_hours(s) for s in (0.4, 65, 3599.9, 3723)] == ["0:00", "1:05", "1:00:00", "1:02:03"]


def until(condition):
    end = time.monotonic() + 20
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    assert condition()


def test_without_a_terminal_there_are_lines_and_no_carriage_returns():
    stream = io.StringIO()
    progress = Progress(stream=stream, every=0.0)
    until(lambda: "run_pipeline.py: starting, 0:0" in stream.getvalue())
    progress.watch()
    count("images", 4)
    count("done")
    until(lambda: "run_pipeline.py: 1 of 4 images" in stream.getvalue())
    count("done", 2)
    until(lambda: " images/s, 0:0" in stream.getvalue())
    progress.close()
    length = len(stream.getvalue())
    time.sleep(2 * LOOK)
    assert len(stream.getvalue()) == length
    assert "\r" not in stream.getvalue() and stream.getvalue().endswith("\n")
    assert FOLDER not in os.environ


def test_a_line_comes_each_half_minute_only():
    stream = io.StringIO()
    progress = Progress(stream=stream)
    time.sleep(2 * LOOK)
    progress.close()
    assert stream.getvalue() == ""


def test_a_quiet_command_says_nothing_and_makes_no_folder():
    stream = io.StringIO()
    progress = Progress(quiet=True, stream=stream, every=0.0)
    progress.watch()
    time.sleep(2 * LOOK)
    assert stream.getvalue() == "" and FOLDER not in os.environ
    progress.close()


def test_a_stream_that_is_closed_breaks_nothing():
    stream = io.StringIO()
    progress = Progress(stream=stream, every=0.0)
    until(stream.getvalue)
    stream.close()
    time.sleep(2 * LOOK)
    progress.close()
