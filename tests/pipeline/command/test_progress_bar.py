"""The bar on a pseudo terminal."""

import contextlib
import os
import sys

from pipeline.command.progress_bar import Bar
from tests.terminal import pseudo_terminal, screen

COLUMNS = 60


@contextlib.contextmanager
def a_bar():
    """A bar, and what reads all that its terminal was sent so far."""
    before = sys.stderr
    with pseudo_terminal(COLUMNS) as (terminal, read), open(os.dup(terminal), "w") as stream:
        sys.stderr = stream
        bar = Bar(stream)
        try:
            yield bar, read
        finally:
            bar.close()
            sys.stderr = before


def test_the_bar_is_one_line_that_is_drawn_over():
    with a_bar() as (bar, read):
        bar.show("loading the network, 0:03", 0, None)
        bar.show("5 of 10 images", 5, 10)
        bar.show("9 of 10 images", 9, 10)
        sent = read()
        # No new line, and no cursor that is hidden.
        assert "\n" not in sent and "\x1b[?25" not in sent
        (line,) = screen(sent)
        assert line.startswith(" 90% |") and line.endswith("| 9 of 10 images")
        bar.close()
        assert screen(sent + read()) == [""]


def test_where_there_is_no_room_for_a_bar_the_text_is_whole():
    text = "1630 of about 2500 images, 142.5 images/s, 0:06 left"
    with a_bar() as (bar, read):
        bar.show(text, 1630, 2500)
        (line,) = screen(read())
        assert line == f" 65% {text}"


def test_what_is_written_meanwhile_stands_above_the_bar():
    with a_bar() as (bar, read):
        bar.show("5 of 10 images", 5, 10)
        print("a warning", file=sys.stderr)
        bar.show("6 of 10 images", 6, 10)
        above, below = screen(read())
        assert above == "a warning" and below.endswith("6 of 10 images")


def test_the_bar_waits_for_the_end_of_a_line():
    with a_bar() as (bar, read):
        sys.stderr.write("half")
        bar.show("5 of 10 images", 5, 10)
        sys.stderr.write(" and half\n")
        assert screen(read()) == ["half and half", ""]


def test_after_it_is_closed_nothing_is_drawn_and_streams_are_what_they_were():
    with a_bar() as (bar, read):
        replaced, stream = sys.stderr, sys.stderr.stream
        bar.close()
        assert sys.stderr is stream
        read()
        bar.show("5 of 10 images", 5, 10)
        bar.close()
        # Who took standard error while the bar was there still has it.
        print("late", file=replaced)
        assert read() == "late\n"


def test_a_text_that_is_wider_than_the_terminal_stays_on_one_line():
    with a_bar() as (bar, read):
        bar.show("x" * 200, 5, 10)
        bar.show("5 of 10 images", 5, 10)
        assert max(map(len, read().split("\r"))) <= COLUMNS
