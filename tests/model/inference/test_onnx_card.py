"""Cards of ONNX files: what is missing or wrong is named, and a card is shown."""

import json

import pytest

from model.inference.onnx_card import EXAMPLE, Card, card_of, read_card

FULL = json.loads(EXAMPLE)


def test_a_card_lies_beside_its_file():
    assert card_of("gs://bucket/nets/u2net.onnx") == "gs://bucket/nets/u2net.json"


def test_the_example_is_a_card(tmp_path):
    (tmp_path / "net.json").write_text(EXAMPLE)
    mean, scale = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    assert read_card(tmp_path / "net.json") == Card(320, mean, scale, "NCHW", 0, 255, False)


WRONG = {
    "does not say scale, output": {"size": 320, "mean": [0, 0, 0], "layout": "NCHW"},
    "says means, which means nothing": {**FULL, "means": 1},
    "says that size is 0": {**FULL, "size": 0},
    "says that size is true": {**FULL, "size": True},
    "says that mean is [0.5]": {**FULL, "mean": [0.5]},
    "says that scale is [1, 0, 1]": {**FULL, "scale": [1, 0, 1]},
    'says that layout is "CHW"': {**FULL, "layout": "CHW"},
    "says that output is -1": {**FULL, "output": -1},
    'says that divisor is "max"': {**FULL, "divisor": "max"},
    "says that logits is 1": {**FULL, "logits": 1},
    "holds no object": [320],
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_said_and_a_card_is_shown(tmp_path, what):
    path = tmp_path / "net.json"
    path.write_text(json.dumps(WRONG[what]))
    with pytest.raises(ValueError) as caught:
        read_card(path)
    assert str(caught.value) == f"its card {str(path)!r} {what}; one would be, say, {EXAMPLE}"


def test_a_damaged_card_is_told(tmp_path):
    (tmp_path / "net.json").write_text('{"size": NaN')
    with pytest.raises(ValueError, match="is no JSON"):
        read_card(tmp_path / "net.json")
