"""The review list: its order, its reasons, and names that are only names."""

import csv
import io

import pytest

from pipeline.report.review import COLUMNS, encode_list, judge, order
from tests.pipeline.report.rows import ROWS, row

VALUES = {
    "foreground_fraction": 0.3,
    "uncertain_fraction": 0.1,
    "mean_confidence": 0.95,
    "components": 1,
    "touches_border": False,
    "empty": False,
}


def test_the_score_is_the_share_of_doubt():
    assert judge(VALUES) == (0.25, "25% of foreground and doubt is doubt")
    sure = VALUES | {"uncertain_fraction": 0.0}
    assert judge(sure) == (0.0, "")


def test_reasons_are_said():
    empty = VALUES | {"foreground_fraction": 0, "components": 0, "empty": True}
    assert judge(empty) == (1.0, "no foreground")
    many = VALUES | {"foreground_fraction": 0.95, "components": 4, "touches_border": True}
    many |= {"guess": "alpha is 0 everywhere, ignored"}
    why = judge(many).why
    assert why.endswith(
        "nearly all is foreground; 4 parts; reaches the border; alpha is 0 everywhere, ignored"
    )


def test_a_list_is_read_back_by_csv():
    rows = [row(1, key='a,"b"\n.jpg'), row(2, key="<b>.jpg"), row(3, key="\udcff.jpg")]
    text = encode_list(rows, overlays=2).decode()
    lines = [*csv.DictReader(io.StringIO(text))]
    assert tuple(lines[0]) == COLUMNS
    assert [line["key"] for line in lines] == ['a,"b"\n.jpg', "<b>.jpg", "\\udcff.jpg"]
    assert [line["overlay"] for line in lines] == ["review/000001.jpg", "review/000002.jpg", ""]
    assert float(lines[0]["score"]) == pytest.approx(judge(rows[0].values).score, abs=1e-4)
    assert {line["empty"] for line in lines} <= {"true", "false"}


def test_the_most_doubtful_come_first_and_then_those_of_most_parts():
    ordered = sorted(ROWS, key=order)
    scores = [judge(one.values).score for one in ordered]
    assert scores == sorted(scores, reverse=True)
    equal = [one.values["components"] for one in ordered if judge(one.values).score == 1]
    assert equal == sorted(equal, reverse=True)
