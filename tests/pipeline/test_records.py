"""Rows as lines of JSON, and the digest of what an image is made of."""

import json

from pipeline.failures import Failure
from pipeline.records import Item, MetricsRow, Truth, content_of


def test_a_row_is_one_line_that_says_what_it_was_given():
    item = Item("a\nb\u2028\udce9.jpg", "masks/a.png", "c0ffee")
    line = MetricsRow(item, (30, 20), "ok", {"mae": 0.5, "iou": None}).to_json()
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


def test_an_item_without_its_truth_is_otherwise_the_same():
    item = Item("a.jpg", "masks/a.png", "c0ffee", Truth(b"T"))
    assert item.without_truth() == Item("a.jpg", "masks/a.png", "c0ffee")


def test_contents_differ_by_name_image_truth_and_where_one_ends():
    contents = [
        content_of(*values)
        for values in (
            ("a", b"b", None),
            ("b", b"b", None),
            ("a", b"c", None),
            ("a", b"b", Truth(b"c")),
            ("ab", b"", None),
            ("a", b"bc", None),
            ("\udcff", b"b", None),
        )
    ]
    assert len(set(contents)) == len(contents)
    assert content_of("a", b"b", None) == contents[0]


def test_a_truth_that_cannot_be_read_counts_by_its_reason_and_not_by_its_message():
    def content(reason, message):
        return content_of("a", b"b", Truth(failure=Failure("a", "read", reason, message)))

    assert content("OSError", "at 9 o'clock") == content("OSError", "at 10 o'clock")
    assert content("OSError", "") != content("too_large", "")
    assert content("OSError", "") != content_of("a", b"b", None)
