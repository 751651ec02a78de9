"""Every command of docs/recipes.md, as it stands there, on small inputs; with a small network."""

import io
import json
import re
import shlex
import tarfile

import duckdb
import numpy as np
import pytest
from PIL import Image

from pipeline.command.run import annotate
from tests.end_to_end.command import ROOT, write_network
from tests.pipeline.encoded import encode_array
from tests.pipeline.shard_files import (
    example,
    files_below,
    image_column,
    write_parquet,
    write_shard,
    write_tar,
)

pytestmark = pytest.mark.slow

COMMANDS = re.findall(
    r"```sh\npython run_pipeline\.py (.+)\n```", (ROOT / "docs/recipes.md").read_text()
)
NETWORK = ("--model=net.keras", "--image_size=64")
RNG = np.random.default_rng(0)
PHOTOS = [encode_array(RNG.integers(0, 256, (30, 40, 3), dtype=np.uint8), "JPEG") for _ in range(3)]
TRUTH = encode_array(np.pad(np.full((10, 20), 255, np.uint8), 10), "PNG")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Inputs of the names on the page, and what became of each output folder, by its name."""
    folder = tmp_path_factory.mktemp("recipes")
    for name in ("photos/more", "shards", "tars", "results", "truths"):
        (folder / name).mkdir(parents=True)
    for name, photo in zip(("a", "b", "more/c"), PHOTOS, strict=True):
        (folder / f"photos/{name}.jpg").write_bytes(photo)
        flat = name.rpartition("/")[2]
        (folder / f"results/{flat}.png").write_bytes(TRUTH)
        (folder / f"truths/{flat}_truth.png").write_bytes(TRUTH)
    records = [example(f"{n}.jpg".encode(), photo, TRUTH) for n, photo in enumerate(PHOTOS)]
    write_shard(folder / "shards/train.tfrecord", records)
    write_parquet(folder / "photos.parquet", {"photo": image_column(PHOTOS, ["x", "y", "z"])})
    members = [(f"{n}.jpg", photo) for n, photo in enumerate(PHOTOS)]
    write_tar(folder / "tars/train-0.tar", members)
    (folder / "list.csv").write_text(
        "path,truth\nphotos/a.jpg,truths/a_truth.png\nphotos/b.jpg,truths/b_truth.png\n"
    )
    write_network(folder / "net.keras")
    return folder


@pytest.fixture(scope="module")
def outputs(folder):
    """Runs every command, one after the other; standard output of each, by its folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        status = {}
        for command in COMMANDS:
            flags = shlex.split(command)
            name = flags[flags.index("--output") + 1] + ("+" if "--resume" in flags else "")
            if "--resume" in flags:
                (folder / "photos/new.jpg").write_bytes(PHOTOS[0])
            network = () if "--masks" in flags else NETWORK
            status[name] = annotate([*flags, *network])
    return status


def rows(path):
    with duckdb.connect() as base:
        found = base.execute(f"select key, status, iou from '{path}' order by key")
        return found.fetchall()


def test_ten_commands_are_done(outputs):
    assert len(COMMANDS) == len(outputs) == 10
    assert outputs == dict.fromkeys(outputs, 0)


def test_masks(folder, outputs):
    for name, expected in {
        "masks_of_photos": ["a.png", "b.png", "more/c.png", "new.png"],
        "from_tfrecord": ["train/0.png", "train/1.png", "train/2.png"],
    }.items():
        assert files_below(folder / name / "masks") == expected, name


def test_photos_without_their_background(folder, outputs):
    cutouts = folder / "without_background/cutouts"
    assert files_below(cutouts) == ["a.png", "b.png"]
    assert [Image.open(path).mode for path in cutouts.iterdir()] == ["RGBA", "RGBA"]


def test_tars_of_photos_and_masks(folder, outputs):
    with tarfile.open(folder / "to_tars/masks/masks-00000-of-00001.tar") as tar:
        members = {one.name: tar.extractfile(one).read() for one in tar}
    assert [members[f"train-0/{n}.jpg"] for n in range(3)] == PHOTOS
    masks = [Image.open(io.BytesIO(members[f"train-0/{n}.mask.png"])) for n in range(3)]
    assert [(mask.mode, mask.size) for mask in masks] == [("1", (40, 30))] * 3


def test_metrics(folder, outputs):
    typed = rows(folder / "from_tfrecord/metrics/*.parquet")
    assert [row[:2] for row in typed] == [(f"train/{n}.jpg", "ok") for n in range(3)]
    assert all(0 <= row[2] <= 1 for row in typed)
    assert [row[:2] for row in rows(folder / "to_csv/metrics/*.csv")] == [
        ("photos/a.jpg", "ok"),
        ("photos/b.jpg", "ok"),
    ]
    summary = json.loads((folder / "scores/summary.json").read_text())
    assert summary["with_truth"] == 3 and summary["metrics"]["iou"] == 1


def test_annotations(folder, outputs):
    coco = json.loads((folder / "to_coco/annotations/coco.json").read_text())
    assert len(coco["images"]) == 3
    resumed = json.loads((folder / "masks_of_photos/annotations/coco.json").read_text())
    assert len(resumed["images"]) == 4
    labels = files_below(folder / "to_yolo/annotations/yolo/labels")
    assert labels == ["a.txt", "b.txt", "more/c.txt"]
    assert "flower" in (folder / "to_yolo/annotations/yolo/data.yaml").read_text()
    assert len(json.loads((folder / "to_tools/annotations/labelstudio.json").read_text())) == 3
    assert (folder / "to_tools/annotations/cvat.xml").read_text().count("<image ") == 3
