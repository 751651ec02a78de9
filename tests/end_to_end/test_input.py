"""What is not read, not paired or lost is said, by the command as a user gives it."""

import json

import pytest
from PIL import Image

from tests.end_to_end.command import run_here, write_network
from tests.pipeline.shard_files import example, lay, write_shard

FLAGS = ("--model=net.keras", "--image_size=64")


@pytest.fixture
def folder(tmp_path):
    """A folder with a network."""
    write_network(tmp_path / "net.keras")
    return tmp_path


def photo(path, size=(40, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.effect_noise(size, 50).convert("RGB").save(path)


def test_what_is_not_read_or_not_paired_is_said(folder):
    photo(folder / "in" / "a.jpg")
    photo(folder / "more" / "b.jpg")
    lay(folder, "in/notes.txt", "in/._a.jpg")
    for name in ("a.jpg.png", "c.png"):
        (folder / "truth").mkdir(exist_ok=True)
        Image.new("L", (40, 30), 255).save(folder / "truth" / name)
    flags = (*FLAGS, "--input=in", "--input=more", "--truth=truth")
    said = {
        "files named *.txt are not read": "in/notes.txt",
        "files named ._* are not read": "in/._a.jpg",
        "images have no ground truth": "more/b.jpg",
        "ground truths have no image": "truth/c.png",
    }
    status, out, err = run_here(*flags, cwd=folder)
    assert status == 0 and out.startswith("2 images, 0 failures, "), err
    assert err.splitlines() == [f"1 {kind}, such as {said[kind]}" for kind in sorted(said)]
    summary = json.loads((folder / "output" / "summary.json").read_text())
    assert summary["with_truth"] == 1
    assert summary["notes"] == {
        kind: {"count": 1, "example": example} for kind, example in said.items()
    }


@pytest.mark.slow
def test_a_lost_shard_is_said_and_ends_with_status_3(folder):
    photo(folder / "a.jpg")
    image = (folder / "a.jpg").read_bytes()
    (folder / "in").mkdir()
    for name in ("s", "t"):
        records = [example(b"%d.jpg" % number, image) for number in range(3)]
        write_shard(folder / "in" / f"{name}.tfrecord", records)
    whole = (folder / "in" / "t.tfrecord").read_bytes()
    (folder / "in" / "t.tfrecord").write_bytes(whole[: len(whole) // 2])
    flags = (*FLAGS, "--input=in", "--max_failure_rate=1")
    status, out, err = run_here(*flags, cwd=folder)
    assert status == 3 and out.startswith("5 images, 1 failures, 1 shards lost, "), err
    assert "1 shards are lost, in part or whole" in err
    summary = json.loads((folder / "output" / "summary.json").read_text())
    assert (summary["masks"], summary["lost_shards"]) == (4, 1)
    status, _, err = run_here(*flags, "--allow_lost_shards", "--overwrite", cwd=folder)
    assert status == 0, err
