"""Files of rivals: those of the project, and those that are refused."""

import json
import re
from pathlib import Path

import pytest

from benchmarks import rival_files
from benchmarks.quality import FIGURES
from benchmarks.rival_files import Rival, read_rival

GOOD = {"name": "a", "source": "b", "photos": 3, "set": "c", "figures": {"mae": 0.5, "max_f": 1}}


def write(tmp_path, values):
    path = tmp_path / "rival.json"
    path.write_text(values if isinstance(values, str) else json.dumps(values))
    return path


def test_every_rival_of_the_project_can_be_read():
    paths = sorted((Path(rival_files.__file__).parent / "rivals").iterdir())
    rivals = [read_rival(path, FIGURES) for path in paths]
    assert len({rival.name for rival in rivals}) == len(rivals) >= 2


def test_a_rival_may_have_some_of_the_figures_only(tmp_path):
    assert read_rival(write(tmp_path, GOOD), FIGURES) == Rival(**GOOD)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "does not hold a JSON object"),
        ({key: GOOD[key] for key in ("name", "photos", "figures")}, "lacks set, source"),
        ({**GOOD, "mae": 0.5, "date": 1}, "has unknown keys: date, mae"),
        ({**GOOD, "figures": {"mae": 0.5, "MAE": 0.5}}, "has unknown figures: MAE; known are mae,"),
        ({**GOOD, "figures": {}}, "figures has to be an object that is not empty"),
        ({**GOOD, "figures": {"mae": "0.5"}}, "every figure has to be a number"),
        ({**GOOD, "photos": "500"}, "photos has to be a positive integer"),
        ({**GOOD, "photos": 0}, "photos has to be a positive integer"),
        ({**GOOD, "source": ""}, "name, source and set have to be text"),
    ],
)
def test_a_file_with_other_keys_or_values_is_refused_by_name(tmp_path, values, message):
    path = write(tmp_path, values)
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}.*{re.escape(message)}"):
        read_rival(path, FIGURES)
