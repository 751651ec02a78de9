"""Flags of annotations, out and back in."""

import pytest

from tests.pipeline.checked import enter_folder, job, refused
from tests.pipeline.shard_files import lay


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    enter_folder(tmp_path, monkeypatch)
    for name, text in (("coco.json", '{"images": []}'), ("other.json", '"text"')):
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("argv", "part"),
    [
        (["--annotations", "voc"], "invalid choice: 'voc'"),
        (["--category=cat"], "--category is of annotations; add --annotations"),
        (["--annotations", "coco", "--category= "], "--category must be a name"),
        (["--annotations", "coco", "--category=a\nb"], "can be printed; got 'a\\nb'"),
        (["--annotations", "coco", "--min_area=5"], "add --instances components"),
        (
            ["--annotations", "coco", "--instances=components", "--min_area=0"],
            "--min_area must be at least 1; got 0",
        ),
        (
            ["--masks=masks", "--truth=truth", "--annotations", "labelstudio"],
            "--annotations labelstudio shows photos, which --masks does not name",
        ),
        (["--truth=*.json"], "--truth '*.json': one file of annotations is read"),
        (["--truth=export.zip"], "--truth 'export.zip' is packed; unpack it"),
        (["--truth=none.json"], "--truth 'none.json' cannot be read"),
        (["--truth=other.json"], "--truth 'other.json' cannot be read: it is neither JSON"),
    ],
)
def test_what_cannot_work_is_refused_and_named(argv, part):
    assert part in refused(*argv)


def test_formats_are_kept_in_their_order_and_once():
    found = job("--annotations", "yolo", "coco", "--annotations", "coco", "--instances=components")
    assert found.annotations == ("yolo", "coco")
    assert (found.category, found.instances, found.min_area) == ("object", "components", 64)
    assert job("--truth=coco.json").truth == "coco.json"


def test_a_file_that_the_job_writes_anew_is_no_truth(folder):
    lay(folder / "out", "journal/job.json", "masks/a.png")
    (folder / "out" / "annotations").mkdir()
    (folder / "out" / "annotations" / "coco.json").write_text("{}")
    flags = ("--truth=out/annotations/coco.json", "--output=out")
    assert "--truth reads 'out/annotations/coco.json', which" in refused(*flags, "--overwrite")
    assert "--truth reads 'out/annotations/coco.json', which" in refused(*flags, "--resume")
