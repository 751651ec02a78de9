"""Rows to annotation files, read back by other programs or by the project's own readers."""

import json
import random
from pathlib import Path
from xml.etree import ElementTree

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.testing.util import assert_that, equal_to
from PIL import Image
from pycocotools.coco import COCO

from model.annotations.drawings import Drawing, draw
from model.annotations.read import read_annotations
from pipeline.job_settings import ANNOTATION_FORMATS, Job
from pipeline.records import Item, MetricsRow, Note, Origin
from pipeline.stages import annotations
from pipeline.stages.annotations import WriteAnnotations
from tests.model.annotations.masks import MASKS
from tests.pipeline.shard_files import files_below

ODD = '<b>"\n\u2028&\udce9\0.jpg'


def levels_of(mask):
    """Levels as a network's: sure here and there, and never just at the threshold."""
    rng = np.random.default_rng(0)
    return np.where(mask, rng.integers(128, 256, mask.shape), rng.integers(0, 128, mask.shape))


def lay(output, masks, path="/photos/{}"):
    """Writes masks, and returns their rows."""
    rows = []
    for number, (key, levels) in enumerate(masks.items()):
        mask = f"masks/{number if key == ODD else key.partition('.')[0]}.png"
        Path(output, mask).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(levels.astype(np.uint8)).save(Path(output, mask))
        item = Item(key, mask, "c", origin=Origin(mask, "1-1", path=path.format(key)))
        rows.append(MetricsRow(item, levels.shape[::-1], "ok", {}))
    return rows


def write(rows, notes=(), **settings):
    """Runs the stage, and compares what it has to say."""
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        found = pipeline | beam.Create(rows) | WriteAnnotations(Job(**settings))
        assert_that(found.notes, equal_to(list(notes)))


def read(path):
    """Masks by the name of their image, by the project's readers."""
    with open(path, "rb") as file:
        found = list(read_annotations(file))
    return {one.name: draw(one, 10**6) for one in found if isinstance(one, Drawing)}


@pytest.fixture
def masks():
    """Levels by key; one image is empty."""
    masks = {f"c/{name}.jpg": levels_of(mask) for name, mask in MASKS.items()}
    return masks | {"empty.jpg": np.zeros((4, 5), int)}


def test_coco_is_read_by_pycocotools_pixel_for_pixel(tmp_path, masks, capsys):
    rows = lay(tmp_path, masks)
    write(rows, output=str(tmp_path), annotations=("coco",), category="thing")
    coco = COCO(tmp_path / "annotations" / "coco.json")
    assert {one["file_name"] for one in coco.imgs.values()} == masks.keys()
    assert [one["name"] for one in coco.loadCats(coco.getCatIds())] == ["thing"]
    for image in coco.imgs.values():
        levels, found = masks[image["file_name"]], coco.imgToAnns[image["id"]]
        assert (image["height"], image["width"]) == levels.shape
        if image["file_name"] == "empty.jpg":
            assert found == []
            continue
        (one,) = found
        mask = levels >= 128
        np.testing.assert_array_equal(coco.annToMask(one), mask)
        rows, columns = np.nonzero(mask)
        left, top = columns.min(), rows.min()
        assert one["bbox"] == [left, top, columns.max() + 1 - left, rows.max() + 1 - top]
        assert (one["area"], one["iscrowd"]) == (mask.sum(), 0)
        assert one["score"] == pytest.approx(levels[mask].mean() / 255, abs=1e-4)
    assert files_below(tmp_path / "annotations") == ["coco.json"]


def test_label_studio_and_cvat_hold_the_same_masks(tmp_path, masks):
    rows = lay(tmp_path, masks)
    write(rows, output=str(tmp_path), annotations=("labelstudio", "cvat"), category='a "&<')
    folder = tmp_path / "annotations"
    tasks = json.loads((folder / "labelstudio.json").read_text())
    for task in tasks:  # As an annotator leaves them who accepts all.
        (prediction,) = task.pop("predictions")
        task["annotations"] = [{"result": prediction["result"]}]
    accepted = tmp_path / "accepted.json"
    accepted.write_text(json.dumps(tasks))
    for found in (read(folder / "cvat.xml"), read(accepted)):
        assert found.keys() == masks.keys()
        for key, levels in masks.items():
            np.testing.assert_array_equal(found[key], levels >= 128)
    by_key = {task["data"]["key"]: task["data"]["image"] for task in tasks}
    assert by_key["empty.jpg"] == "/data/local-files/?d=photos/empty.jpg"
    label = ElementTree.parse(folder / "labelstudio.xml").find("BrushLabels/Label")
    assert label.get("value") == 'a "&<' == tasks[0]["annotations"][0]["result"][0]["value"][
        "brushlabels"
    ][0]  # fmt: skip


def test_yolo_has_a_label_file_for_every_image(tmp_path, masks):
    write(lay(tmp_path, masks), output=str(tmp_path), annotations=("yolo",))
    folder = tmp_path / "annotations" / "yolo"
    names = {key.replace(".jpg", ".txt") for key in masks}
    assert set(files_below(folder / "labels")) == names
    assert (folder / "labels" / "empty.txt").read_text() == ""
    (line,) = (folder / "labels" / "c" / "blobs.txt").read_text().splitlines()
    number, *points = line.split(" ")
    points = np.array(points, float).reshape(-1, 2)
    assert number == "0" and points.min() >= 0 and points.max() <= 1


def test_each_part_of_a_size_is_an_object_and_smaller_ones_are_counted(tmp_path, masks):
    rows = lay(tmp_path, {"parts.jpg": masks["c/parts.jpg"], "ring.jpg": masks["c/ring.jpg"]})
    settings = {"output": str(tmp_path), "annotations": ("coco", "yolo"), "instances": "components"}
    kind = "parts of masks are smaller than 5 pixels and not annotated"
    write(rows, [Note(kind, "parts.jpg", 2)], min_area=5, **settings)
    coco = json.loads((tmp_path / "annotations" / "coco.json").read_text())
    assert [one["file_name"] for one in coco["images"]] == ["parts.jpg", "ring.jpg"]
    assert [one["id"] for one in coco["annotations"]] == [1, 2, 3]
    assert sorted(one["area"] for one in coco["annotations"]) == [8, 8, 24]
    lines = (tmp_path / "annotations" / "yolo" / "labels" / "ring.txt").read_text().splitlines()
    assert len(lines) == 2


def test_what_is_written_depends_on_the_rows_alone(tmp_path, masks, monkeypatch):
    monkeypatch.setattr(annotations, "IMAGES", 3)
    monkeypatch.setattr(annotations, "PIECE", 500)
    rows, written = lay(tmp_path, masks), []
    for seed in range(2):
        random.Random(seed).shuffle(rows)
        write(rows, output=str(tmp_path), annotations=ANNOTATION_FORMATS)
        paths = files_below(tmp_path / "annotations")
        assert not any(path.startswith("parts") for path in paths)
        written.append({path: (tmp_path / "annotations" / path).read_bytes() for path in paths})
    assert written[0] == written[1]
    numbers = [one["id"] for one in json.loads(written[0]["coco.json"])["images"]]
    assert numbers == list(range(1, len(masks) + 1))


def test_names_may_hold_anything(tmp_path):
    rows = lay(tmp_path, {ODD: np.full((3, 4), 255)})
    notes = [
        Note("label files are not named like their image, so YOLO does not find them", ODD),
        Note("names are not Unicode, and are changed in the annotations", ODD),
        Note("names hold characters that XML cannot, and are changed in cvat.xml", ODD),
    ]
    write(rows, notes, output=str(tmp_path), annotations=ANNOTATION_FORMATS)
    folder = tmp_path / "annotations"
    name = ODD.replace("\udce9", "\ufffd")
    assert read(folder / "coco.json").keys() == {name}
    assert read(folder / "cvat.xml").keys() == {'<b>"\n\u2028&\ufffd\ufffd.jpg'}
    (task,) = json.loads((folder / "labelstudio.json").read_text())
    assert task["data"]["key"] == name
    assert task["data"]["image"].isascii() and "\n" not in task["data"]["image"]


def test_a_mask_that_cannot_be_read_is_said(tmp_path):
    rows = lay(tmp_path, {"a.jpg": np.zeros((3, 4)), "b.jpg": np.zeros((3, 4))})
    (tmp_path / "masks" / "a.png").unlink()
    notes = [Note("masks are left out of the annotations: FileNotFoundError", "a.jpg")]
    write(rows, notes, output=str(tmp_path), annotations=("coco", "cvat"))
    assert read(tmp_path / "annotations" / "coco.json").keys() == {"b.jpg"}


def test_no_image_makes_files_without_images(tmp_path):
    write([], output=str(tmp_path), annotations=ANNOTATION_FORMATS)
    folder = tmp_path / "annotations"
    assert json.loads((folder / "coco.json").read_text())["images"] == []
    assert json.loads((folder / "labelstudio.json").read_text()) == []
    assert len(ElementTree.parse(folder / "cvat.xml").findall("image")) == 0
    assert (folder / "yolo" / "data.yaml").exists()


def test_masks_of_any_program_have_labels_of_their_own(tmp_path):
    rows = []
    for name in ("x.png", "x.gif", "X.png", "y.png"):
        Image.new("L", (4, 3), 255).save(tmp_path / name)
        path = str(tmp_path / name)
        rows.append(MetricsRow(Item(name, path, "c", origin=Origin(path)), (4, 3), "ok", {}))
    output = tmp_path / "output"
    settings = {"masks": "in", "truth": "in", "annotations": ("yolo",)}
    kind = "label files are not named like their image, so YOLO does not find them"
    notes = [Note(kind, name) for name in ("x.png", "x.gif", "X.png")]
    write(rows, notes, output=str(output), **settings)
    labels = files_below(output / "annotations" / "yolo" / "labels")
    assert len(labels) == 4 and "y.txt" in labels
