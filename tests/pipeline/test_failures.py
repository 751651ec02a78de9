"""Failures: what they say, and how an error becomes one."""

import json
import re
import traceback
from pathlib import Path

import pytest

from pipeline.failures import (
    MESSAGE_LENGTH,
    Attempt,
    BadImage,
    Failure,
    OutputLost,
    TimedOut,
    attempt,
    ended_by,
)


def test_a_failure_is_one_line_that_says_what_it_was_given():
    line = Failure("a\r\n.jpg", "decode", "broken", "it\u2028is").to_json()
    assert len(line.splitlines()) == 1
    assert json.loads(line) == {
        "key": "a\r\n.jpg",
        "stage": "decode",
        "reason": "broken",
        "message": "it\u2028is",
    }


def throw(error):
    raise error


@pytest.mark.parametrize(
    ("error", "reason", "message"),
    [
        (BadImage("too_large", "9 x 9"), "too_large", "9 x 9"),
        (TimedOut("nothing came"), "timed_out", "nothing came"),
        (ValueError("one\ntwo"), "ValueError", "one"),
        (KeyError(), "KeyError", ""),
        (MemoryError("too much"), "MemoryError", "too much"),
        (
            UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
            "UnicodeDecodeError",
            "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
        ),
        (OSError("x" * 5000), "OSError", "x" * MESSAGE_LENGTH),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_raised_becomes_a_failure_with_its_reason_and_first_line(error, reason, message):
    made = attempt("read", "a.jpg", throw, error)
    assert made == Attempt(failure=Failure("a.jpg", "read", reason, message))


def test_a_message_has_200_characters_at_most():
    assert len(Failure.of("a", "read", OSError("x" * 201)).message) == 200


def test_what_is_returned_is_the_result():
    assert attempt("read", "a", int, "ff", base=16) == Attempt(result=255)
    assert attempt("read", "a", lambda: None) == Attempt()


def test_a_lost_output_is_nobodys_failure():
    with pytest.raises(OutputLost, match="no space"):
        attempt("write", "a", throw, OutputLost("no space is left"))


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_an_interruption_is_nobodys_failure(stop):
    with pytest.raises(stop):
        attempt("write", "a", throw, stop())


def test_every_reason_is_in_the_documentation():
    root = Path(__file__).parents[2]
    code = "".join(path.read_text() for path in (root / "pipeline").rglob("*.py"))
    given = r'(?:BadImage\(|super\(\).__init__\()\s*"([a-z_]+)"'
    reasons = set(re.findall(given, code))
    told = set(re.findall(r"`([a-z_]+)`", (root / "docs" / "reliability.md").read_text()))
    assert {"too_large", "timed_out", "bad_name", "truth_size", "not_finite"} < reasons <= told


def test_the_lost_output_behind_an_error_is_found():
    lost = OutputLost("cannot write to out: no space is left")
    try:
        try:
            raise lost
        except OutputLost as error:
            raise OutputLost(f"{error} [while running 'Write']") from error
    except OutputLost as error:
        assert ended_by(error) is lost
        text = "".join(traceback.format_exception(error))
    # As the error of a worker in another process comes.
    told = ended_by(RuntimeError(text))
    assert str(told) == "cannot write to out: no space is left"
    assert ended_by(ValueError("x")) is None
