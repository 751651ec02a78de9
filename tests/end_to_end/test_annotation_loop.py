"""The commands of docs/annotation.md, on a kind of object that the network misses."""

import json
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from model.annotations.brush import encode_brush
from tests.end_to_end.command import ROOT

PAGE = ROOT / "docs" / "annotation.md"
SIZE = (160, 128)


def draw_photo(folder, number):
    """A photo of a striped box and of a bright ball; the box is what is to be found."""
    rng = np.random.default_rng(number)
    noise = rng.integers(90, 150, (SIZE[1], SIZE[0], 3)).astype(np.uint8)
    photo = Image.fromarray(noise).filter(ImageFilter.GaussianBlur(1))
    mask = Image.new("L", SIZE)
    boxes = rng.permutation(2) * 80
    left, top = boxes[0] + rng.integers(5, 20), rng.integers(10, 50)
    box = (left, top, left + rng.integers(35, 50), top + rng.integers(40, 65))
    ImageDraw.Draw(mask).rectangle(box, fill=255)
    stripes = Image.fromarray((np.indices(SIZE[::-1])[1] // 4 % 2 * 60 + 90).astype(np.uint8))
    photo.paste(Image.merge("RGB", [stripes] * 3), mask=mask)
    x, y, r = boxes[1] + rng.integers(35, 45), rng.integers(45, 80), rng.integers(25, 33)
    colour = (*rng.integers(200, 256, 2).tolist(), 40)
    ImageDraw.Draw(photo).ellipse((x - r, y - r, x + r, y + r), fill=colour)
    for name, image in (("photos", photo), ("truth", mask)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        suffix = "jpg" if name == "photos" else "png"
        image.save(folder / name / f"{number}.{suffix}")


def commands():
    """The commands of the page."""
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


def run(command, cwd, *more):
    """Runs a command of the page as if the project lay in the folder."""
    (python, *rest), here = command, {"run_pipeline.py", "model/weights/basnet_mini.weights.h5"}
    assert python == "python"
    rest = [str(ROOT / one) if one in here else one for one in rest]
    finished = subprocess.run(
        [sys.executable, *rest, *more],
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(cwd)},
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr
    return finished


def correct(folder):
    """What an annotator does: takes the tasks, and draws the true masks."""
    tasks = json.loads((folder / "annotated" / "annotations" / "labelstudio.json").read_text())
    for task in tasks:
        mask = np.asarray(Image.open(folder / "truth" / task["data"]["key"].replace("jpg", "png")))
        stroke = list(encode_brush(mask > 128, (0, 0), SIZE))
        value = {"format": "rle", "rle": stroke, "brushlabels": ["object"]}
        size = {"original_width": SIZE[0], "original_height": SIZE[1]}
        task["annotations"] = [{"result": [{"type": "brushlabels", "value": value, **size}]}]
    (folder / "export.json").write_text(json.dumps(tasks))


def iou(output):
    return json.loads((output / "summary.json").read_text())["metrics"]["iou"]


@pytest.mark.slow
def test_sixty_corrected_photos_raise_the_iou_of_photos_that_were_held_back(tmp_path):
    for number in range(90):
        draw_photo(tmp_path if number < 60 else tmp_path / "more", number)
    annotate, score, train, again = commands()
    run(annotate, tmp_path)
    correct(tmp_path)
    run(score, tmp_path)
    assert iou(tmp_path / "scored") < 0.5
    run(train, tmp_path, "--steps=120", "--crop=128", "--resize=160", "--validation_fraction=0")
    run(again, tmp_path)
    more = ("--input=more/photos", "--truth=more/truth", "--annotations=coco")
    start = ["python", "run_pipeline.py"]
    run(start, tmp_path, *more, "--output=before")
    run(start, tmp_path, *more, "--output=after", "--model=tuned/final.weights.h5")
    assert iou(tmp_path / "after") > iou(tmp_path / "before") + 0.2
