"""Rows and failures as lines of JSON."""

import json
import re
from pathlib import Path

import pytest

from pipeline.records import MESSAGE_LENGTH, BadImage, Failure, MetricsRow


def test_a_row_is_one_line_that_says_what_it_was_given():
    row = MetricsRow(
        "a\nb\u2028\udce9.jpg", "masks/a.png", (30, 20), "ok", {"mae": 0.5, "iou": None}
    )
    line = row.to_json()
    assert len(line.splitlines()) == 1 and line.isascii()
    assert json.loads(line) == {
        "key": "a\nb\u2028\udce9.jpg",
        "status": "ok",
        "mask": "masks/a.png",
        "width": 30,
        "height": 20,
        "mae": 0.5,
        "iou": None,
    }


def test_a_failure_is_one_line_that_says_what_it_was_given():
    line = Failure("a\r\n.jpg", "decode", "broken", "it\u2028is").to_json()
    assert len(line.splitlines()) == 1
    assert json.loads(line) == {
        "key": "a\r\n.jpg",
        "stage": "decode",
        "reason": "broken",
        "message": "it\u2028is",
    }


@pytest.mark.parametrize(
    ("error", "reason", "message"),
    [
        (BadImage("too_large", "9 x 9"), "too_large", "9 x 9"),
        (ValueError("one\ntwo"), "ValueError", "one"),
        (KeyError(), "KeyError", ""),
        (
            UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
            "UnicodeDecodeError",
            None,
        ),
        (OSError("x" * 5000), "OSError", "x" * MESSAGE_LENGTH),
    ],
)
def test_a_failure_takes_its_reason_and_first_line_from_the_exception(error, reason, message):
    failure = Failure.of("a", "read", error)
    assert (failure.key, failure.stage, failure.reason) == ("a", "read", reason)
    assert message is None or failure.message == message


def test_every_reason_is_in_the_documentation():
    root = Path(__file__).parents[2]
    code = "".join(path.read_text() for path in (root / "pipeline").glob("*.py"))
    reasons = set(re.findall(r'(?:BadImage\(|\breason =)\s*"([a-z_]+)"', code))
    told = set(re.findall(r"`([a-z_]+)`", (root / "docs" / "reliability.md").read_text()))
    assert {"too_large", "timed_out"} < reasons <= told
