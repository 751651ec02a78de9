"""Which output folders are refused before a job starts, and that checking changes nothing."""

import pytest

from pipeline.command.options import UsageError
from pipeline.command.output_folder import check_apart, check_output, check_writable
from pipeline.job_settings import Job
from pipeline.output_layout import OUTPUTS
from pipeline.storage.files import clear
from pipeline.storage.journal_files import start
from tests.pipeline.object_store import ObjectStore
from tests.pipeline.shard_files import files_below, lay

FLAGS = [{}, {"resume": True}, {"overwrite": True}]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A folder to be in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(output, resume=False, overwrite=False):
    check_output(Job(output, resume=resume), overwrite)


def refused(output, **flags):
    with pytest.raises(UsageError) as caught:
        check(output, **flags)
    return str(caught.value)


# What is there


@pytest.mark.parametrize("flags", FLAGS)
def test_a_folder_may_be_missing_or_empty(here, flags):
    (here / "out").mkdir()
    check("out", **flags)
    check("new/deep", **flags)
    assert not (here / "new").exists()


@pytest.mark.parametrize("output", ["in", "odd [1]"])
def test_a_folder_that_is_not_empty_needs_a_word(here, output):
    lay(here / output, "a")
    message = refused(output)
    assert repr(output) in message and "not empty" in message
    assert "--resume" in message and "--overwrite" in message


@pytest.mark.parametrize("flags", FLAGS)
def test_a_file_is_no_folder(here, flags):
    lay(here, "out")
    assert "--output 'out' is a file" in refused("out", **flags)


def test_storage_that_nobody_knows_is_refused():
    assert "--output 'nowhere://x' cannot be used" in refused("nowhere://x")


@pytest.mark.parametrize("flags", FLAGS)
def test_what_a_run_left_that_was_killed_before_it_began_is_in_nobodys_way(here, flags):
    lay(here / "out", "temporary/probe-1", "temporary/2")
    check("out", **flags)
    # However much it is, it hides nothing else.
    lay(here / "out", *(f"temporary/{number}" for number in range(300)), "temporary.txt")
    if flags != {"overwrite": True}:
        assert "'out'" in refused("out", **flags)


def test_only_a_folder_with_a_journal_is_resumed(here):
    lay(here / "out", "masks/a.png")
    assert "holds no journal of an earlier run" in refused("out", resume=True)
    (here / "out" / "journal").mkdir()
    (here / "out" / "journal" / "job.json").write_text("{")
    assert "cannot be used" in refused("out", resume=True)
    for head in ("{}", '{"format": 3}'):  # Of an earlier release; its rows are not misread.
        (here / "out" / "journal" / "job.json").write_text(head)
        assert "of another release; this one goes on with format 5" in refused("out", resume=True)
    start(Job(str(here / "out")))
    check("out", resume=True)


# Overwriting


def test_what_lies_beside_annotations_is_kept(here):
    lay(here / "out", "annotations/coco.json", "annotations/yolo/labels/c/a.txt")
    kept = ["annotations/corrected.json", "annotations/yolo/images/a.jpg", "truth/a.png"]
    lay(here / "out", *kept)
    clear("out", OUTPUTS)
    assert files_below(here / "out") == kept


@pytest.mark.parametrize("output", ["out", "out [1]", "out/deep", "./out/"])
def test_overwriting_removes_what_a_job_wrote_and_nothing_else(here, output):
    root = here / output
    lay(root, "masks/a.png", "masks/b [2]/c.png", "metrics/metrics-00000-of-00001.jsonl")
    lay(root, "failures/failures-00000-of-00001.jsonl", "summary.json", "journal/job.json")
    lay(root, "notes.txt", "masks.txt", "mine/masks/a.png", "summary.json.bak")
    check(output, overwrite=True)
    assert (root / "summary.json").exists()  # checking alone removes nothing
    clear(output, OUTPUTS)
    assert files_below(root) == ["masks.txt", "mine/masks/a.png", "notes.txt", "summary.json.bak"]
    assert not (root / "masks").exists()


@pytest.mark.parametrize("name", ["masks/a.png", "metrics/m.jsonl", "failures/f", "summary.json"])
def test_overwriting_what_no_job_made_is_refused(here, name):
    lay(here / "set [1]", name)
    message = refused("set [1]", overwrite=True)
    assert f"holds {name.partition('/')[0]}, but no journal of an earlier job" in message
    # Nothing of a job's names: there is nothing that it would remove.
    lay(here / "notes", "notes.txt", "masks.txt", "mine/masks/a.png")
    check("notes", overwrite=True)


@pytest.mark.parametrize("output", ["store://bucket/out", "store://bucket/out [1]/"])
def test_overwriting_on_an_object_store_removes_the_same(output, monkeypatch):
    root = output.rstrip("/")
    kept = {f"{root}/notes.txt": b"", f"{root}/masks.txt": b"", f"{root}2/masks/a.png": b""}
    ours = [f"{root}/masks/c/a [2].png", f"{root}/metrics/m-0.jsonl", f"{root}/summary.json"]
    monkeypatch.setattr(ObjectStore, "files", kept | dict.fromkeys(ours, b""))
    assert "holds masks, but no journal" in refused(output, overwrite=True)
    ObjectStore.files[f"{root}/journal/job.json"] = b"{}"
    assert "not empty" in refused(output)
    check(output, overwrite=True)
    clear(output, OUTPUTS)
    assert ObjectStore.files == kept


# What is read


@pytest.mark.parametrize("path", ["out/masks/a.png", "./out/masks/b/c.png", "out/summary.json/x"])
def test_an_input_that_is_an_output_is_refused(here, path):
    with pytest.raises(UsageError, match="--input reads .*, which --overwrite removes"):
        check_apart("--input", ["in/a.jpg", path], "out", "--overwrite removes")
    with pytest.raises(UsageError):
        check_apart("--input", [f"{here}/{path}"], "./out/", "--overwrite removes")


@pytest.mark.parametrize(
    "path", ["out/mine/a.jpg", "out/masks.png", "out2/masks/a.png", "in/a.jpg"]
)
def test_an_input_beside_the_outputs_is_allowed(path):
    check_apart("--input", [path], "out", "--overwrite removes")


def test_an_input_that_is_an_output_on_an_object_store_is_refused():
    output = "store://bucket/out"
    with pytest.raises(UsageError, match="reads 'store://bucket/out/masks/a.png'"):
        check_apart("--masks", [f"{output}/masks/a.png"], output, "--overwrite removes")


# Writing


def test_trying_to_write_leaves_nothing_behind(here):
    check_writable("new/deep [1]")
    assert list(here.iterdir()) == []
    lay(here / "out", "notes.txt")
    check_writable("out")
    assert [path.name for path in (here / "out").iterdir()] == ["notes.txt"]


def test_a_folder_that_cannot_be_written_to_is_refused(here):
    lay(here, "file")
    with pytest.raises(UsageError, match="--output 'file/out' cannot be written to"):
        check_writable("file/out")
    assert files_below(here) == ["file"]


@pytest.mark.parametrize(
    ("before", "now", "message"),
    [
        ({}, {"mask_format": "parquet"}, "with --mask_format png, which .* --mask_format parquet;"),
        ({"cutouts": "png"}, {}, "with --cutouts png, which .* with no --cutouts;"),
        ({}, {"overlays": True}, "with no --overlays, which .* with --overlays;"),
        (
            {"mask_format": "tfrecord"},
            {"mask_format": "tfrecord", "with_images": True},
            "with no --with_images, which",
        ),
    ],
)
def test_a_job_goes_on_with_the_files_that_it_was_begun_with(before, now, message):
    start(Job("out", **before))
    check_output(Job("out", resume=True, **before), False)
    with pytest.raises(UsageError, match=message):
        check_output(Job("out", resume=True, **now), False)
    check_output(Job("out", **now), True)
