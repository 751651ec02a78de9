"""The page and the picture made from results, and whether the committed page is up to date."""

import numpy as np
import pytest
from PIL import Image

from benchmarks.report import HERE, main
from benchmarks.results_files import Goal, Measured, markdown, publish, read


@pytest.fixture
def results(tmp_path):
    """A folder of two results, of which only the second has goals."""
    goals = [Goal("ours relative to theirs", 0.5, "<=", 0.4), Goal("speed", 3.0, ">=", 2.0)]
    sections = {
        "b": Measured("First", [{"what": "ours", "seconds": 0.5}], goals, []),
        "a": Measured("Second", [{"what": "ours", "seconds": 1.5}], [], ["A note."]),
    }
    folder = tmp_path / "results"
    folder.mkdir()
    for name, section in sections.items():
        publish(section, "benchmarks.any", [], folder / f"{name}.json")
    return folder


def make(results, folder):
    main(["--results", str(results), "--folder", str(folder)])
    return (folder / "RESULTS.md").read_text()


@pytest.fixture
def pyplot():
    """Only the extra has it."""
    return pytest.importorskip("matplotlib.pyplot")


@pytest.mark.usefixtures("pyplot")
def test_the_committed_page_is_what_the_command_makes_of_the_committed_results(tmp_path):
    expected = make(HERE / "results", tmp_path)
    assert (HERE / "RESULTS.md").read_text() == expected, "run python -m benchmarks.report"


@pytest.mark.usefixtures("pyplot")
def test_the_page_holds_every_section_in_the_order_of_the_files(results, tmp_path):
    text = make(results, tmp_path)
    places = [text.index(markdown(read(results / f"{name}.json"))) for name in "ab"]
    assert places == sorted(places)
    assert "(results.png)" in text


@pytest.mark.usefixtures("pyplot")
def test_the_picture_is_small_and_shows_goals_that_are_met_in_green(results, tmp_path):
    make(results, tmp_path)
    picture = tmp_path / "results.png"
    assert picture.stat().st_size < 150_000
    pixels = np.asarray(Image.open(picture).convert("RGB"), int)
    met, missed = (
        np.all(np.abs(pixels - color) < 5, -1) for color in ((44, 160, 44), (214, 39, 40))
    )
    # 0.5 of 0.4 is 1.25; 2.0 of 3.0 is 0.67.
    widths = [np.ptp(np.nonzero(mask)[1]) for mask in (met, missed)]
    assert widths[0] / widths[1] == pytest.approx((2 / 3) / 1.25, rel=0.05)


def test_without_goals_there_is_no_picture(results, tmp_path):
    (results / "b.json").unlink()
    (tmp_path / "results.png").write_text("of an earlier report")
    text = make(results, tmp_path)
    assert not (tmp_path / "results.png").exists()
    assert "results.png" not in text


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(SystemExit):
        make(tmp_path, tmp_path)
    assert not (tmp_path / "RESULTS.md").exists()
