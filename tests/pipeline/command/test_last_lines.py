"""The last lines of a job: what failed and why, and how fast this run was."""

import json

import pytest

from pipeline.command.last_lines import read_summary, report
from pipeline.job_settings import Job

SUMMARY = {
    "images": 100,
    "masks": 98,
    "failed": 2,
    "failures": {"broken": 1, "too_large": 1},
    "lost_shards": 0,
    "notes": {},
    "bad_truths": 0,
    "with_truth": 0,
}


@pytest.fixture
def reported(tmp_path, capsys):
    """Reports a job of this summary; the last line, standard error."""

    def run(seconds=8.0, kept=0, truth=None, **summary):
        (tmp_path / "summary.json").write_text(json.dumps(SUMMARY | summary))
        job = Job(str(tmp_path), truth=truth)
        report(job, read_summary(job), seconds, kept)
        out, err = capsys.readouterr()
        assert out.endswith(f", output in {tmp_path}\n") and len(out.splitlines()) == 1
        return out.partition(", output in")[0], err.splitlines()

    return run


def test_where_nobody_tells_what_was_finished_before_no_speed_is_said(reported):
    line, _ = reported(kept=None)
    assert line == "100 images (some may be of an earlier run), 2 failures, 8.0 s"


def test_the_last_line_counts_images_failures_seconds_and_images_a_second(reported):
    line, err = reported()
    assert line == "100 images, 2 failures, 8.0 s, 12.5 images/s"
    assert err == ["1 failed: broken", "1 failed: too_large"]


def test_images_of_an_earlier_run_are_named_and_do_not_make_this_one_faster(reported):
    line, _ = reported(kept=60)
    assert line == "100 images (60 of an earlier run), 2 failures, 8.0 s, 5.0 images/s"


def test_a_run_that_found_all_finished_did_no_image(reported):
    line, _ = reported(kept=98, images=98, failed=0, failures={})
    assert line == "98 images (98 of an earlier run), 0 failures, 8.0 s, 0.0 images/s"


def test_a_job_without_images_has_no_failures(reported):
    nothing = {"images": 0, "masks": 0, "failed": 0, "failures": {}}
    assert reported(**nothing)[0] == "0 images, 0 failures, 8.0 s, 0.0 images/s"


def test_truths_that_are_of_no_use_are_counted(reported):
    _, err = reported(bad_truths=3, truth="truth", failures={})
    assert err == ["3 ground truths cannot be used; truth_error in metrics/ says why"]


def test_images_without_truth_are_said_once_also_where_none_has_one(reported):
    notes = {"images have no ground truth": {"count": 98, "example": "in/a.jpg"}}
    _, err = reported(truth="truth/*.png", failures={}, notes=notes)
    assert err == ["98 images have no ground truth, such as in/a.jpg"]
    assert reported(truth="truth/*.png", with_truth=98, failures={})[1] == []


def test_what_is_to_be_said_of_the_input_has_a_number_and_an_example(reported):
    note = {"count": 3, "example": "in/a.txt"}
    _, err = reported(failures={}, notes={"files named *.txt are not read": note})
    assert err == ["3 files named *.txt are not read, such as in/a.txt"]


def test_lost_shards_are_named_as_such(reported):
    line, err = reported(failures={}, lost_shards=2)
    assert line == "100 images, 2 failures, 2 shards lost, 8.0 s, 12.5 images/s"
    assert len(err) == 1 and err[0].startswith("2 shards are lost, in part or whole")
