"""The report and the review list, by the command as a user gives it."""

import csv
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from pipeline.report.__main__ import main
from tests.clouds import CLOUDS
from tests.end_to_end.command import ROOT, run_here, write_network
from tests.pipeline.shard_files import files_below

FLAGS = ("--model=net.keras", "--image_size=64", "--input=in")


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """A folder with photos and truths, and the output of a job."""
    folder = tmp_path_factory.mktemp("job")
    write_network(folder / "net.keras")
    rng = np.random.default_rng(0)
    for kind in ("in", "truth"):
        (folder / kind / "c").mkdir(parents=True)
    for number in range(12):
        photo = np.kron(rng.integers(0, 256, (5, 6, 3)), np.ones((20, 20, 1))).astype(np.uint8)
        Image.fromarray(photo).save(folder / f"in/c/{number}<b>.png")
        Image.fromarray(photo[..., 0] > 128).save(folder / f"truth/c/{number}<b>.png")
    (folder / "in" / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing more")
    status, out, err = run_here(*FLAGS, "--truth=truth", cwd=folder)
    assert status == 0 and out.startswith("13 images, 1 failures, "), err
    return folder


def data_of(page):
    return json.loads(re.search(r'id="rows">(.*?)</script>', page.read_text(), re.S)[1])


def test_every_job_writes_a_report_and_a_list(job):
    data = data_of(job / "output" / "report.html")
    assert sorted(row["name"] for row in data["rows"]) == sorted(f"c/{n}<b>.png" for n in range(12))
    assert not any(row["troubles"] for row in data["rows"])
    assert all(row["pictures"].keys() == {"truth", "errors"} for row in data["rows"])
    with open(job / "output" / "review.csv") as file:
        assert len([*csv.DictReader(file)]) == 12


def test_the_report_is_made_again_and_after_a_resume_shows_finished_images(job):
    page = job / "output" / "report.html"
    before = page.read_bytes()
    page.unlink()
    command = [sys.executable, "-m", "pipeline.report", "output"]
    subprocess.run(command, cwd=job, env={"PYTHONPATH": str(ROOT)}, check=True)
    assert page.read_bytes() == before
    min((job / "output" / "masks" / "c").iterdir()).unlink()
    status, out, err = run_here(*FLAGS, "--truth=truth", "--resume", cwd=job)
    assert status == 0 and "(11 of an earlier run)" in out, err
    text = page.read_text()
    assert "<dt>Masks of this run</dt><dd>1</dd>" in text and "<dt>Images a second</dt>" in text
    again = data_of(page)
    assert all(row["pictures"].keys() == {"truth", "errors"} for row in again["rows"])
    assert len(again["rows"]) == 12


@pytest.mark.slow
def test_no_report_writes_none_and_a_resume_removes_it(job):
    status, _, err = run_here(*FLAGS, "--truth=truth", "--resume", "--no_report", cwd=job)
    assert status == 0, err
    left = files_below(job / "output")
    assert not {"report.html", "review.csv", "journal/report.json"} & set(left)
    status, _, err = run_here(*FLAGS, "--truth=truth", "--resume", cwd=job)
    assert status == 0, err
    assert {"report.html", "review.csv"} <= set(files_below(job / "output"))


@pytest.mark.slow
def test_masks_in_shards_are_shown_by_the_job_by_a_resume_and_by_the_command(job, monkeypatch):
    flags = (*FLAGS, "--mask_format=parquet", "--output=shards")
    page = job / "shards" / "report.html"
    for more in ((), ("--resume",)):
        status, _, err = run_here(*flags, *more, cwd=job)
        assert status == 0, err
        assert not any(row["troubles"] for row in data_of(page)["rows"])
        assert page.read_text().count('<img class="mask"') == 12
    before = page.read_bytes()
    monkeypatch.chdir(job)
    assert main(["shards"]) == 0
    assert page.read_bytes() == before


def test_records_of_shards_are_shown(job):
    samples = ROOT / "pipeline" / "sample"
    flags = ("--model=net.keras", "--image_size=64", f"--input={samples}/*.tfrecord")
    status, _, err = run_here(*flags, "--output=records", cwd=job)
    assert status == 0, err
    rows = data_of(job / "records" / "report.html")["rows"]
    assert len(rows) == 11
    assert not any(row["troubles"] for row in rows)
    assert sum(row["pictures"].keys() == {"truth", "errors"} for row in rows) == 5


def test_review_draws_the_first_of_the_list_and_annotates_these_alone(job):
    flags = (*FLAGS, "--output=reviewed", "--review=3", "--annotations", "coco", "yolo")
    status, _, err = run_here(*flags, cwd=job)
    assert status == 0, err
    with open(job / "reviewed" / "review.csv") as file:
        first = [*csv.DictReader(file)][:3]
    assert [line["overlay"] for line in first] == [
        f"review/{name}" for name in files_below(job / "reviewed" / "review")
    ]
    coco = json.loads((job / "reviewed" / "annotations" / "coco.json").read_text())
    keys = sorted(line["key"] for line in first)
    assert sorted(image["file_name"] for image in coco["images"]) == keys
    assert len(files_below(job / "reviewed" / "annotations" / "yolo" / "labels")) == 3
    status, _, err = run_here(*FLAGS, "--output=refused", "--review=3", "--no_report", cwd=job)
    assert status == 2 and "--review is of review.csv" in err


def test_two_outputs_are_compared(job, monkeypatch, capsys):
    status, _, err = run_here(
        *FLAGS, "--truth=truth", "--output=halved", "--threshold=0.45", cwd=job
    )
    assert status == 0, err
    monkeypatch.chdir(job)
    assert main(["output", "halved"]) == 0
    assert not (job / "temporary").exists()
    data = data_of(job / "comparison.html")
    assert data["rows"] and not any(row["troubles"] for row in data["rows"])
    named = {"mask_second", "truth", "errors", "errors_second"}
    assert all(row["pictures"].keys() == named for row in data["rows"])
    for row in data["rows"]:
        values = row["values"]
        change = values["iou_second"] - values["iou_first"]
        assert change == pytest.approx(values["iou_change"])
    assert main(["output", "missing"]) == 1
    said = "pipeline.report: missing holds no journal/report.json"
    assert capsys.readouterr().err.startswith(said)


@pytest.mark.slow
@pytest.mark.parametrize("kind", CLOUDS, ids=lambda kind: kind.__name__)
def test_the_report_of_an_output_in_a_bucket_is_made_again_and_compared(job, tmp_path, kind):
    cloud = kind(tmp_path)
    try:
        for path in (job / "in" / "c").iterdir():
            cloud.put(f"in/c/{path.name}", path.read_bytes())
        output = f"{cloud.root}/out"
        flags = ("--model=net.keras", "--image_size=64", f"--input={cloud.root}/in", *cloud.flags)
        status, _, err = run_here(*flags, f"--output={output}", cwd=job, **cloud.environment)
        assert status == 0, err
        before = cloud.get("out/report.html")
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **cloud.environment}
        for outputs, page in (([output], f"{output}/report.html"), ([output] * 2, "two.html")):
            command = [sys.executable, "-m", "pipeline.report", *outputs, "--page", page]
            done = subprocess.run(
                [*command, *cloud.flags], cwd=tmp_path, env=environment, capture_output=True
            )
            assert (done.returncode, done.stdout) == (0, f"{page}\n".encode()), done.stderr
        assert cloud.get("out/report.html") == before
        assert not any(row["troubles"] for row in data_of(tmp_path / "two.html")["rows"])
    finally:
        cloud.close()
