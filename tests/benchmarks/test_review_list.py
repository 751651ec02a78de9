"""What a review list is worth, of rows whose order is known."""

import pytest

from benchmarks.review_list import SINGLE, main, measure, share_found


def rows(count):
    return [
        {
            "key": f"{number}.jpg",
            "iou": number / count,
            "uncertain_fraction": 1 - number / count,
            "mean_confidence": 0.9,
            "components": 1,
            "foreground_fraction": number / count,
            "touches_border": False,
            "empty": False,
        }
        for number in range(count)
    ]


def test_the_share_is_of_the_worst_tenth():
    assert share_found(rows(50), ["0.jpg", "4.jpg", "5.jpg", "40.jpg"]) == 2 / 5


def test_a_line_compares_the_list_with_each_figure():
    review = [f"{number}.jpg" for number in (0, 1, 9, 8, 7, 2, 3, 4)]
    line = measure("set", [*rows(50), {"key": "x", "iou": None}], review)
    assert (line["images"], line["review list"], line["random"]) == (50, 2 / 5, 0.1)
    assert (line["best single figure"], line["which"]) == (1, "most uncertain pixels")
    assert line["most foreground"] == 0
    assert len(line) == 6 + len(SINGLE) - 1


def test_too_few_photos_are_refused(tmp_path, capsys):
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "a.png").write_bytes(b"")
    with pytest.raises(SystemExit):
        main(["--data", str(tmp_path)])
    assert "from 10 to 10000 photos" in capsys.readouterr().err
