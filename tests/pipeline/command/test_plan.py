"""What a plan says, of jobs whose files were laid here."""

import json

import pytest

from pipeline.command.plan import describe
from pipeline.job_settings import Job
from pipeline.storage.journal_files import append, start, withdraw
from tests.pipeline.journal_rows import row
from tests.pipeline.object_store import ObjectStore
from tests.pipeline.shard_files import files_below, lay


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A folder to be in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def plan(overwrite=False, **settings):
    """The lines of a plan by their first word."""
    job = Job(**{"output": "out", "inputs": ("in",), **settings})
    return dict(line.split(maxsplit=1) for line in describe(job, overwrite).splitlines())


def test_files_are_counted_once_however_often_they_are_named(here):
    lay(here, "in/a.jpg", "in/c/b.png", "in/s.tfrecord", "in/notes.txt")
    found = plan(inputs=("in", "./in/*.jpg", f"{here}/in"))
    assert found["input"] == "2 image files, 1 shards"
    assert found["ignored"].startswith("1 files named *.txt are not read, such as ")
    assert plan(input_format="images")["input"] == "2 image files, 0 shards"
    assert "truth" not in found and "names" not in found


def test_truths_are_counted_with_those_that_fit(here):
    lay(here, "in/a.jpg", "in/c/b.jpg", "truth/a.png", "truth/b.png", "truth/c/b.gif")
    found = plan(truth="truth")
    assert found["truth"] == "3 masks, for 2 of the image files"
    assert found["unused"] == "1 masks, such as truth/b.png"
    assert "missing" not in found
    lay(here, "in/d.jpg")
    assert plan(truth="truth")["missing"] == "1 image files have no truth, such as d.jpg"


def test_truths_of_a_pattern_with_a_name_are_counted_as_they_are_joined(here):
    lay(here, *(f"d/{c}/i/{n}.jpg" for c in "ab" for n in "xy"))
    lay(here, "d/a/m/x_m.png", "d/b/m/y_m.png", "d/c/m/x_m.png")
    found = plan(inputs=("d/*/i/*",), truth="d/*/m/{name}_m.png")
    assert found["truth"] == "3 masks, for 2 of the image files"
    assert found["unused"] == "1 masks, such as d/c/m/x_m.png"
    assert found["missing"] == "2 image files have no truth, such as a/i/y.jpg"
    found = plan(inputs=(), masks="d/*/i/*", truth="d/*/m/{name}_m.png")
    assert found["masks"] == "4, of which 2 have a ground truth; no network"


def test_truths_of_an_annotation_file_are_counted_by_name(here):
    lay(here, "in/a.jpg", "in/c/b.jpg")
    tasks = [{"data": {"image": name}, "annotations": []} for name in "ab"]
    for name in ("a.jpg", "/home/c/b.jpg", "lost.jpg"):
        data = {"image": name, "key": name, "width": 4, "height": 3}
        tasks.append({"data": data, "annotations": [{"result": []}]})
    (here / "export.json").write_text(json.dumps(tasks))
    found = plan(truth="export.json")
    assert found["truth"] == "3 images are annotated in export.json, and 2 of them are there"
    assert found["ignored"] == "2 images are not labelled yet"
    found = plan(inputs=(), masks="in", truth="export.json")
    assert found["masks"] == "2; no network"
    assert found["truth"] == "3 images are annotated in export.json, and 2 of them are there"


def test_images_that_would_share_a_mask_are_counted(here):
    lay(here, "in/a.jpg", "in/a.png", "in/b.jpg")
    assert plan()["names"].startswith("2 masks cannot have their image's name alone")


def test_the_network_is_named_with_all_that_decides_a_mask(here):
    lay(here, "in/a.jpg")
    assert plan()["model"] == (
        "basnet_mini at 256 x 256, float32 by Keras, batches of 8, to 8-bit probabilities"
    )
    settings = {"image_size": 64, "tta": "flip", "precision": "bfloat16", "engine": "openvino"}
    other = plan(**settings, batch_size=3, threshold=0.5)
    assert other["model"] == (
        "basnet_mini at 64 x 64, flipped too, bfloat16 by OpenVINO, batches of 3, to binary masks "
        "of what reaches 0.5"
    )
    assert plan(annotations=("coco", "yolo"))["labels"] == "annotations as coco, yolo"


def test_masks_to_be_scored_are_counted_with_those_that_have_a_truth(here):
    lay(here, "m/a.png", "m/b.png", "m/c/d.png", "t/a.jpg", "t/c/d.png", "t/e.png")
    found = plan(inputs=(), masks="m", truth="t")
    assert found["masks"] == "3, of which 2 have a ground truth; no network"
    assert found["missing"] == "1 masks have no truth, such as m/b.png"
    assert found["unused"] == "1 truths, such as t/e.png"
    lay(here, "n/a.png", "u/a.png")
    assert plan(inputs=(), masks="n", truth="u").keys() == {"masks", "output"}


def test_what_is_overwritten_is_counted_and_left_alone(here):
    lay(here, "in/a.jpg", "out/masks/a.png", "out/summary.json", "out/notes.txt")
    before = files_below(here)
    assert plan(overwrite=True)["output"] == ("out: removes 2 files of an earlier job, then begins")
    assert plan()["output"] == "out: is empty or new"
    assert files_below(here) == before


def test_what_is_overwritten_on_an_object_store_is_counted(here, monkeypatch):
    lay(here, "in/a.jpg")
    names = ("masks/a.png", "masks/c/b.png", "notes.txt", "journal/job.json")
    files = {f"store://bucket/out/{name}": b"{}" for name in names}
    monkeypatch.setattr(ObjectStore, "files", files)
    found = plan(output="store://bucket/out", overwrite=True)["output"]
    assert found == "store://bucket/out: removes 3 files of an earlier job, then begins"


def test_finished_images_are_counted_once_and_withdrawn_ones_are_not(here):
    lay(here, "in/a.jpg")
    start(Job("out"))
    append("out", [row(1), row(2), row(3)])
    append("out", [row(1)])
    withdraw("out", row(2))
    found = plan(resume=True)["output"]
    assert found == "out: goes on; 2 images are finished, and kept where they have not changed"
    found = plan(resume=True, threshold=0.5)["output"]
    assert found == "out: 2 finished images are stale and done again: threshold was None, is 0.5"
