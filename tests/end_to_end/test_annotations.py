"""Annotations out and corrections back in, by the command as a user gives it."""

import json

import numpy as np
import pytest
from PIL import Image

from model.annotations.brush import encode_brush
from tests.end_to_end.command import run_here, write_network
from tests.end_to_end.test_input import photo
from tests.pipeline.shard_files import files_below

FLAGS = ("--model=net.keras", "--image_size=64", "--input=in")
ALL = ("--annotations", "coco", "yolo", "labelstudio", "cvat")


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """A folder with photos, and the output of a job with annotations."""
    folder = tmp_path_factory.mktemp("job")
    write_network(folder / "net.keras")
    for name in ("a.jpg", "c/b.jpg", "c/d.png"):
        photo(folder / "in" / name)
    status, out, err = run_here(*FLAGS, *ALL, cwd=folder)
    assert status == 0 and out.startswith("3 images, 0 failures, "), err
    return folder


def written(folder):
    return {path: (folder / path).read_bytes() for path in files_below(folder)}


def test_each_format_has_its_files(job):
    assert written(job / "output" / "annotations").keys() == {
        *("coco.json", "labelstudio.json", "labelstudio.xml", "cvat.xml", "yolo/data.yaml"),
        *(f"yolo/labels/{name}.txt" for name in ("a", "c/b", "c/d")),
    }


@pytest.mark.slow
def test_a_finished_job_is_given_annotations_without_computing_again(job):
    flags = (*FLAGS, "--output=later")
    status, _, err = run_here(*flags, cwd=job)
    assert status == 0 and not (job / "later" / "annotations").exists(), err
    status, out, err = run_here(*flags, *ALL, "--resume", cwd=job)
    assert status == 0, err
    assert out.startswith("3 images (3 of an earlier run), 0 failures, "), out
    found = written(job / "later" / "annotations")
    assert found == written(job / "output" / "annotations")


def corrected(job, label):
    """A file of Label Studio in which an annotator has corrected some masks: two of three."""
    tasks = json.loads((job / "output" / "annotations" / "labelstudio.json").read_text())
    for number, task in enumerate(tasks[:2]):
        left = np.zeros((30, 40), bool)
        left[:, : 20 * number] = True
        stroke = list(encode_brush(left, (0, 0), (40, 30)))
        result = [task["predictions"][0]["result"][0] | {"original_width": 40}] if number else []
        for region in result:
            region["value"] = {"format": "rle", "rle": stroke, "brushlabels": [label]}
        task["annotations"] = [{"id": 1, "result": result, "was_cancelled": False}]
    return tasks


def rows(output):
    lines = (output / "metrics" / "metrics-00000-of-00001.jsonl").read_text().splitlines()
    return {row["key"]: row for row in map(json.loads, lines)}


def test_masks_are_scored_against_corrections(job):
    (job / "export.json").write_text(json.dumps(corrected(job, "object")))
    masks = ("--masks=output/masks", "--truth=export.json", "--output=scored")
    status, out, err = run_here(*masks, "--annotations", "coco", cwd=job)
    assert status == 0 and out.startswith("2 images, 0 failures"), err
    assert err.splitlines() == [
        "1 images are not labelled yet, such as c/d.png",
        "1 images have no ground truth, such as output/masks/c/d.png",
    ]
    found, masks = rows(job / "scored"), job / "output" / "masks"
    assert found.keys() == {"a.png", "c/b.png"}
    for key, truth in (("a.png", np.zeros((30, 40))), ("c/b.png", np.arange(40) < [[20]] * 30)):
        error = np.abs(np.asarray(Image.open(masks / key)) / 255 - truth).mean()
        assert found[key]["mae"] == pytest.approx(error)
    coco = json.loads((job / "scored" / "annotations" / "coco.json").read_text())
    assert [image["file_name"] for image in coco["images"]] == ["a.png", "c/b.png"]


@pytest.mark.slow
def test_corrections_are_the_truth_of_a_job(job):
    (job / "export.json").write_text(json.dumps(corrected(job, "object")))
    status, out, err = run_here(*FLAGS, "--truth=export.json", "--output=again", cwd=job)
    assert status == 0 and out.startswith("3 images, 0 failures"), err
    assert err.splitlines() == [
        "1 images are not labelled yet, such as c/d.png",
        "1 images have no ground truth, such as in/c/d.png",
    ]
    found = rows(job / "again")
    assert [key for key in found if "mae" in found[key]] == ["a.jpg", "c/b.jpg"]
    assert not (job / "again" / "temporary").exists()


@pytest.mark.slow
def test_a_resumed_job_scores_again_what_an_annotator_has_changed(job):
    tasks = corrected(job, "object")
    (job / "more.json").write_text(json.dumps(tasks))
    flags = (*FLAGS, "--truth=more.json", "--output=changed")
    status, _, err = run_here(*flags, cwd=job)
    assert status == 0, err
    before = rows(job / "changed")
    tasks[0]["annotations"][0]["result"] = tasks[1]["annotations"][0]["result"]
    (job / "more.json").write_text(json.dumps(tasks))
    status, out, err = run_here(*flags, "--resume", cwd=job)
    assert status == 0, err
    assert out.startswith("3 images (2 of an earlier run), 0 failures"), out
    after = rows(job / "changed")
    assert before["a.jpg"]["mae"] != after["a.jpg"]["mae"]
    assert before["c/b.jpg"] == after["c/b.jpg"]
