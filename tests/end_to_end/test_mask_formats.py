"""Masks in shards, cutouts and overlays, as a user asks for them; killed, and resumed."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from pipeline.storage.mask_shards import SUFFIXES, read_masks
from tests.end_to_end.command import run_here, start, write_network
from tests.end_to_end.test_resume import files, journaled, kill_after, photos

FLAGS = ("--input=in", "--truth=truth", "--model=net.keras", "--image_size=64")


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """150 photos, and the masks of them as files."""
    folder = tmp_path_factory.mktemp("few")
    photos(folder, 150)
    status, _, err = run_here(*FLAGS, "--output=png", cwd=folder)
    assert status == 0, err
    return folder


def shard_flags(mask_format, output):
    return (*FLAGS, f"--mask_format={mask_format}", "--with_images", f"--output={output}")


def held(output, mask_format):
    """Key to mask and image of all shards."""
    paths = sorted((output / "masks").iterdir())
    assert {path.suffix for path in paths} == {f".{SUFFIXES[mask_format]}"}
    records = [one for path in paths for one in read_masks(str(path), mask_format)]
    found = {key: (mask, image) for key, mask, image in records}
    assert len(found) == len(records)
    return found


def rows(output):
    (path,) = (output / "metrics").iterdir()
    return list(map(json.loads, path.read_text().splitlines()))


def assert_holds_what_files_hold(few, output, mask_format):
    found = held(output, mask_format)
    assert len(found) == 150
    for key, (mask, image) in found.items():
        assert mask == (few / "png" / "masks" / key).with_suffix(".png").read_bytes()
        assert image == (few / "in" / key).read_bytes()
    said = rows(output)
    assert {row.pop("mask_shard") for row in said} == {
        f"masks/{path.name}" for path in (output / "masks").iterdir()
    }
    assert said == rows(few / "png")


@pytest.fixture(scope="module")
def parquet(few):
    """What a whole job leaves whose masks go into Parquet files."""
    return whole(few, "parquet")


def whole(few, mask_format):
    flags = shard_flags(mask_format, f"{mask_format}-whole")
    status, out, err = run_here(*flags, cwd=few)
    assert status == 0 and out.startswith("151 images, 1 failures"), err
    return few / f"{mask_format}-whole"


@pytest.mark.slow
@pytest.mark.parametrize("mask_format", [name for name in SUFFIXES if name != "parquet"])
def test_shards_hold_what_files_hold(few, mask_format):
    assert_holds_what_files_hold(few, whole(few, mask_format), mask_format)


@pytest.mark.slow
def test_a_killed_job_that_is_resumed_leaves_the_shards_of_a_whole_one(few, parquet):
    assert_holds_what_files_hold(few, parquet, "parquet")
    assert not (parquet / "journal" / "parts").exists()

    flags = shard_flags("parquet", "parquet-killed")
    killed = few / "parquet-killed"
    assert kill_after(start(*flags, cwd=few), killed, 1)
    finished = journaled(killed)
    status, out, err = run_here(*flags, "--resume", cwd=few)
    assert status == 0 and f"({finished} of an earlier run)" in out, err
    assert files(killed) == files(parquet)


@pytest.mark.slow
def test_where_nothing_is_left_to_do_the_shards_stay(few, parquet):
    before = files(parquet)
    flags = shard_flags("parquet", parquet.name)
    status, out, err = run_here(*flags, "--resume", cwd=few)
    assert status == 0 and "(150 of an earlier run)" in out, err
    assert files(parquet) == before


@pytest.mark.slow
def test_a_job_goes_on_with_the_files_that_it_was_begun_with(few):
    status, _, err = run_here(*FLAGS, "--output=png", "--resume", "--mask_format=parquet", cwd=few)
    assert status == 2 and "was begun with --mask_format png" in err
    assert len(err.splitlines()) == 1


@pytest.mark.slow
def test_an_input_that_grows_and_changes_is_in_the_shards_once(few, tmp_path):
    output = tmp_path / "out"
    flags = ("--model=net.keras", "--image_size=64", "--mask_format=tfrecord", f"--output={output}")
    some = [f"in/{number}.jpg" for number in range(60)]
    status, _, err = run_here("--input", *some, *flags, cwd=few)
    assert status == 0, err
    photo = few / "in" / "7.jpg"
    old = photo.read_bytes()
    try:
        photo.write_bytes((few / "in" / "8.jpg").read_bytes())
        status, out, err = run_here("--input=in", *flags, "--resume", cwd=few)
    finally:
        photo.write_bytes(old)
    assert status == 0 and "(59 of an earlier run)" in out, err
    found = held(output, "tfrecord")
    assert len(found) == 150
    assert found["7.jpg"] == found["8.jpg"]
    assert found["9.jpg"][0] == (few / "png" / "masks" / "9.png").read_bytes()


@pytest.mark.slow
def test_cutouts_and_overlays_lie_beside_masks_and_are_made_again_when_they_are_gone(tmp_path):
    (tmp_path / "in" / "a.b").mkdir(parents=True)
    names = ["a.b/x.y.jpg", "z.png"]
    for number, name in enumerate(names):
        photo = Image.new("RGB", (150, 120), (number, 100, 200))
        photo.paste((200, 30, 30), (40, 30, 100, 90))
        photo.save(tmp_path / "in" / name)
    write_network(tmp_path / "net.keras")
    flags = ("--input=in", "--model=net.keras", "--image_size=64", "--output=out")
    flags = (*flags, "--cutouts", "--overlays")
    status, out, err = run_here(*flags, "--plan", cwd=tmp_path)
    assert "cutouts  photos without their background, as png\n" in out
    status, _, err = run_here(*flags, cwd=tmp_path)
    assert status == 0, err
    before = files(tmp_path / "out")
    for name in ("a.b/x.y", "z"):
        mask = Image.open(tmp_path / "out" / "masks" / f"{name}.png")
        cutout = Image.open(tmp_path / "out" / "cutouts" / f"{name}.png")
        np.testing.assert_array_equal(cutout.getchannel("A"), mask)
        assert Image.open(tmp_path / "out" / "overlays" / f"{name}.jpg").size == (150, 120)
    (tmp_path / "out" / "cutouts" / "z.png").unlink()
    status, out, err = run_here(*flags, "--resume", cwd=tmp_path)
    assert status == 0 and out.startswith("2 images (1 of an earlier run)"), err
    assert files(tmp_path / "out") == before
    # All that a job writes is removed by the next.
    status, _, err = run_here(*flags[:4], "--overwrite", cwd=tmp_path)
    assert status == 0, err
    assert not any(name.startswith(("cutouts", "overlays")) for name in files(tmp_path / "out"))


@pytest.mark.slow
def test_annotations_are_made_of_the_masks_in_shards(tmp_path):
    (tmp_path / "in").mkdir()
    rng = np.random.default_rng(0)
    for name in ("a.jpg", "b.c.png", "d.jpg"):
        small = Image.fromarray(rng.integers(0, 256, (4, 5, 3), np.uint8))
        small.resize((150, 120), Image.Resampling.BICUBIC).save(tmp_path / "in" / name)
    write_network(tmp_path / "net.keras")
    flags = ("--model=net.keras", "--image_size=64", "--threshold=0.5")
    shards = ("--mask_format=parquet", "--with_images", "--annotations=coco")
    status, _, err = run_here("--input=in", *flags, *shards, "--output=first", cwd=tmp_path)
    assert status == 0, err
    names = {row["key"] for row in rows(tmp_path / "first")}
    assert names == {"a.jpg", "b.c.png", "d.jpg"}
    coco = json.loads((tmp_path / "first" / "annotations" / "coco.json").read_text())
    areas = {one["image_id"]: one["area"] for one in coco["annotations"]}
    by_id = {one["id"]: one["file_name"] for one in coco["images"]}
    for image, area in areas.items():
        mask, _ = held(tmp_path / "first", "parquet")[by_id[image]]
        assert np.asarray(Image.open(io.BytesIO(mask))).sum() == area
