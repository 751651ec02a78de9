"""Shards of each format through the command, as a user gives them."""

import io
import json
import shutil

import pytest
from PIL import Image

from tests.clouds import Google
from tests.end_to_end.command import run_here, said, write_network
from tests.pipeline.shard_files import example, image_column, write_parquet, write_shard, write_tar

FLAGS = ("--model=net.keras", "--image_size=64")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a network, and six photos with truths in every format."""
    folder = tmp_path_factory.mktemp("shards")
    write_network(folder / "net.keras")
    (folder / "in").mkdir()
    photos = [encoded(Image.effect_noise((40, 30), 20 * n).convert("RGB")) for n in range(6)]
    truths = [encoded(Image.new("L", (40, 30), 255 * (n % 2))) for n in range(6)]
    names = [f"{n}.jpg" for n in range(6)]
    rows = list(zip(names, photos, truths, strict=True))
    write_shard(
        folder / "in" / "t.tfrecord",
        [example(name.encode(), photo, truth) for name, photo, truth in rows],
    )
    members = [
        (f"{name[0]}.{suffix}", data)
        for name, photo, truth in rows
        for suffix, data in (("jpg", photo), ("mask.png", truth))
    ]
    write_tar(folder / "in" / "w-000000.tar", members[:6])
    write_tar(folder / "in" / "w-000001.tgz", members[6:])
    columns = {"image": image_column(photos, names), "mask": image_column(truths)}
    write_parquet(folder / "in" / "p-00000-of-00001.parquet", columns, group=2)
    return folder


def encoded(image):
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def rows_of(folder):
    lines = (folder / "metrics" / "metrics-00000-of-00001.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_shards_of_each_format_are_annotated_alike_and_resumed(folder):
    status, out, err = run_here(*FLAGS, "--input=in", cwd=folder)
    assert status == 0 and out.startswith("18 images, 0 failures, "), err
    rows = rows_of(folder / "output")
    shards = {"t": ".jpg", "w-000000": "", "w-000001": "", "p-00000-of-00001": ".jpg"}
    found = {}
    for row in rows:
        shard, name = row.pop("key").split("/")
        assert name == name[0] + shards[shard]
        mask = (folder / "output" / row.pop("mask")).read_bytes()
        found.setdefault(name[0], []).append((mask, row))
    assert len(found) == 6
    for same in found.values():
        assert len(same) == 3 and same[0] == same[1] == same[2] and "mae" in same[0][1]

    # Nothing is done again, but what was removed.
    before = {path: path.stat().st_mtime_ns for path in (folder / "output/masks").rglob("*.png")}
    gone = folder / "output/masks/p-00000-of-00001/3.png"
    gone.unlink()
    status, out, err = run_here(*FLAGS, "--input=in", "--resume", cwd=folder)
    assert status == 0, err
    after = {path: path.stat().st_mtime_ns for path in (folder / "output/masks").rglob("*.png")}
    assert {path for path in before if before[path] != after[path]} == {gone}
    assert [row["status"] for row in rows_of(folder / "output")] == ["ok"] * 18
    shutil.rmtree(folder / "output")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--input=in/*.parquet", "--image_field=photo"], "there is no column 'photo'"),
        (["--input=in/*.tar", "--image_field=png"], "no member .png; there is .jpg, .mask.png"),
        (["--input=in/*.tfrecord", "--image_field=jpg"], "no jpg; there is image/encoded"),
        (["--input=in/*.tar", "--input_format=parquet"], "1 shards are lost, in part or whole"),
        (["--input=photos", "--truth_field=x"], "--truth_field is of shards"),
    ],
)
@pytest.mark.slow
def test_what_flags_look_for_and_is_not_there_is_said(folder, flags, words):
    (folder / "photos").mkdir(exist_ok=True)
    (folder / "photos" / "a.png").write_bytes(encoded(Image.new("RGB", (9, 9))))
    status, _, err = run_here(*FLAGS, *flags, cwd=folder)
    assert words in err
    assert status == (3 if "lost" in words else 2) and len(said(err)) <= 1


@pytest.mark.slow
def test_a_shard_without_the_column_among_others_is_a_lost_shard(folder, tmp_path):
    (tmp_path / "more").mkdir()
    source = folder / "in" / "p-00000-of-00001.parquet"
    shutil.copy(source, tmp_path / "more" / "a.parquet")
    write_parquet(tmp_path / "more" / "b.parquet", {"label": (None, [1, 2])})
    shutil.copy(folder / "net.keras", tmp_path)
    status, out, err = run_here(*FLAGS, "--input=more", cwd=tmp_path)
    assert status == 3 and out.startswith("7 images, 1 failures, 1 shards lost, "), err
    (line,) = (tmp_path / "output/failures/failures-00000-of-00001.jsonl").read_text().splitlines()
    failure = json.loads(line)
    assert failure["reason"] == "missing_column" and "label (int64)" in failure["message"]


NAMES = ("a.jpg", "d/b.v2.png", "d/c.jpg")


@pytest.fixture(scope="module")
def with_truths(folder, tmp_path_factory):
    """Photos, truths as image files, and what a job makes of them."""
    here = tmp_path_factory.mktemp("with_truths")
    shutil.copy(folder / "net.keras", here)
    truths = []
    for n, name in enumerate(NAMES):
        (here / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((40, 30), 20).convert("RGB").save(here / "in" / name)
        mask = Image.new("L", (40, 30))
        mask.paste(255, (0, 0, 10 * (n + 1), 30))
        truths.append(encoded(mask))
        path = here / "masks" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".png").write_bytes(truths[-1])
    # Its record is empty.
    Image.new("RGB", (40, 30), "red").save(here / "in" / "e.jpg")
    status, _, err = run_here(*FLAGS, "--input=in", "--truth=masks", "--output=files", cwd=here)
    assert status == 0, err
    assert ["mae" in row for row in rows_of(here / "files")] == [True] * 3 + [False]
    return here, truths


@pytest.mark.parametrize("suffix", ["tfrecord", "tar", "parquet"])
@pytest.mark.slow
def test_truths_in_shards_are_those_of_image_files(with_truths, suffix):
    """As the shards of masks that another job has written."""
    here, truths = with_truths
    path = here / f"t-00000-of-00001.{suffix}"
    rows = [*zip(NAMES, truths, strict=True), ("nobody.jpg", truths[0]), ("e.jpg", None)]
    if suffix == "tfrecord":
        write_shard(path, [example(name.encode(), None, truth) for name, truth in rows])
    elif suffix == "tar":
        members = {"d/b.v2.png": "d/b%2Ev2"}
        write_tar(
            path,
            [
                member
                for name, truth in rows
                for stem in [members.get(name, name[:-4])]
                for member in ((f"{stem}.json", b"{}"), (f"{stem}.mask.png", truth))
                if member[1] is not None
            ],
        )
    else:
        write_parquet(
            path,
            {
                "name": (None, [name for name, _ in rows]),
                "mask": image_column([truth for _, truth in rows]),
            },
            group=2,
        )
    truth = f"--truth=t-*.{suffix}"
    status, _, err = run_here(*FLAGS, "--input=in", truth, f"--output={suffix}", cwd=here)
    assert status == 0 and "1 ground truths have no image, such as ./t-" in err, err
    assert "1 images have no ground truth, such as in/e.jpg" in err
    assert rows_of(here / suffix) == rows_of(here / "files")
    # Masks of any program are scored against them, too, and so are masks that lie in shards.
    scores = f"{suffix}_scores"
    for masks, true in (("files/masks", path.name), (path.name, "masks")):
        flags = (f"--masks={masks}", f"--truth={true}", f"--output={scores}", "--overwrite")
        status, out, err = run_here(*flags, "--max_failure_rate=1", cwd=here)
        assert status == 0 and out.startswith("5 images, 2 failures"), out + err
    assert [row["iou"] for row in rows_of(here / scores)] == [1, 1, 1]
    status, out, err = run_here(*FLAGS, "--input=in", f"--truth=t-*.{suffix}", "--plan", cwd=here)
    assert "truth    5 masks, for 4 of the image files" in out, err


@pytest.mark.slow
def test_shards_in_a_bucket_give_what_they_give_on_disks(folder, tmp_path):
    """Parts of objects are read from Amazon's in tests/pipeline/storage/test_objects.py."""
    cloud = Google(tmp_path)
    try:
        for path in (folder / "in").iterdir():
            cloud.put(f"in/{path.name}", path.read_bytes())
        options = {"cwd": tmp_path, **cloud.environment}
        flags = (f"--model={folder}/net.keras", "--image_size=64", *cloud.flags)
        flags += (f"--input={cloud.root}/in", f"--output={cloud.root}/out")
        status, out, err = run_here(*flags, **options)
        assert status == 0 and out.startswith("18 images, 0 failures, "), err
        status, out, err = run_here(*flags, "--resume", **options)
        assert status == 0 and out.startswith("18 images (18 "), (out, err)
        rows = cloud.get("out/metrics/metrics-00000-of-00001.jsonl").splitlines()
    finally:
        cloud.close()
    status, _, err = run_here(*FLAGS, "--input=in", "--output=disk", cwd=folder)
    assert status == 0, err
    assert list(map(json.loads, rows)) == rows_of(folder / "disk")
    shutil.rmtree(folder / "disk")


@pytest.mark.parametrize("form", ["tfrecord", "webdataset", "parquet"])
@pytest.mark.slow
def test_masks_that_one_job_writes_are_input_and_truth_of_the_next(folder, tmp_path, form):
    shutil.copy(folder / "net.keras", tmp_path)
    for name in ("a.jpg", "d/b.v2.png", "d/a.jpg"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((40, 30), 90).convert("RGB").save(tmp_path / "in" / name)
    flags = (*FLAGS, "--threshold=0.5")
    shards = "--output=one", f"--mask_format={form}", "--with_images"
    status, _, err = run_here(*flags, "--input=in", *shards, cwd=tmp_path)
    assert status == 0, err
    (shard,) = (tmp_path / "one" / "masks").iterdir()
    pattern = f"one/masks/*{shard.suffix}"
    for number, given in enumerate((["--input=in", f"--truth={pattern}"], [f"--input={pattern}"])):
        status, _, err = run_here(*flags, *given, f"--output=out{number}", cwd=tmp_path)
        assert status == 0 and not err, err
        rows = rows_of(tmp_path / f"out{number}")
        assert len(rows) == 3 and all(row["status"] == "ok" for row in rows)
        assert [row["iou"] for row in rows] == [1.0] * 3
