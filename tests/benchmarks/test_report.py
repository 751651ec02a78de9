"""Sections and a picture from figures."""

import numpy as np
import pytest
from PIL import Image

from benchmarks.measure import Goal, Measured, markdown, publish, read
from benchmarks.report import main


@pytest.fixture
def files(tmp_path):
    goals = [Goal("ours relative to theirs", 0.5, "<=", 0.4), Goal("speed", 3.0, ">=", 2.0)]
    sections = [
        Measured("First", [{"what": "ours", "seconds": 0.5}], goals, []),
        Measured("Second", [{"what": "ours", "seconds": 1.5}], [], ["A note."]),
    ]
    for section in sections:
        publish(section, "benchmarks.any", [], tmp_path / f"{section.title}.json")
    return [tmp_path / "First.json", tmp_path / "Second.json"]


@pytest.fixture
def pyplot():
    """Only the extra has it."""
    return pytest.importorskip("matplotlib.pyplot")


@pytest.mark.usefixtures("pyplot")
def test_the_report_holds_every_section_in_the_order_given(files, tmp_path):
    main([*map(str, reversed(files)), "--folder", str(tmp_path)])
    text = (tmp_path / "RESULTS.md").read_text()
    places = [text.index(markdown(read(file))) for file in reversed(files)]
    assert places == sorted(places)
    assert "(results.png)" in text


@pytest.mark.usefixtures("pyplot")
def test_the_picture_is_small_and_shows_goals_that_are_met_in_green(files, tmp_path):
    main([*map(str, files), "--folder", str(tmp_path)])
    picture = tmp_path / "results.png"
    assert picture.stat().st_size < 150_000
    pixels = np.asarray(Image.open(picture).convert("RGB"), int)
    met, missed = (
        np.all(np.abs(pixels - color) < 5, -1) for color in ((44, 160, 44), (214, 39, 40))
    )
    # 0.5 of 0.4 is 1.25; 2.0 of 3.0 is 0.67.
    widths = [np.ptp(np.nonzero(mask)[1]) for mask in (met, missed)]
    assert widths[0] / widths[1] == pytest.approx((2 / 3) / 1.25, rel=0.05)


def test_without_goals_there_is_no_picture(files, tmp_path):
    main([str(files[1]), "--folder", str(tmp_path)])
    assert not (tmp_path / "results.png").exists()
    assert "results.png" not in (tmp_path / "RESULTS.md").read_text()
