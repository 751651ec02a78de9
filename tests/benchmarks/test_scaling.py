"""Costs from short jobs, and predictions beside longer ones."""

import os

import pytest

from benchmarks.scaling import FEW, MANY, RUNS, TINY, TINY_SIDE, beside, left_over, run_job
from benchmarks.scaling_model import Costs, Shape, job_seconds
from benchmarks.timed_commands import Usage

STAGES = Costs(
    {
        "decode": {TINY: 0.001},
        "mask": {TINY: 0.001},
        "png": {TINY: 0.001},
        "description": {TINY: 0.001},
        "truth": {TINY: 0.005},
        "network": {TINY_SIDE: 0.002, 256: 0.03},
    }
)


def test_short_jobs_give_back_the_costs_that_they_are_made_of():
    rest = {"rest of a file": 0.003, "rest of a truth": 0.002, "rest of a record": 0.001}
    rest |= {"start": 12.0, "further process": 8.0}
    costs = Costs({**STAGES.points, **{name: {0: value} for name, value in rest.items()}})
    took = {}
    for name, images, options in (
        ("few", FEW, {}),
        ("files", MANY, {}),
        ("truths", MANY, {"truth": True}),
        ("records", MANY, {"shards": True}),
        ("usual", FEW, {"image_size": 256}),
        ("two", FEW, {"image_size": 256, "processes": 2}),
    ):
        shape = Shape(images, TINY, **{"image_size": TINY_SIDE, **options})
        took[name] = job_seconds(costs, shape)
    found = left_over(STAGES, Shape(FEW, TINY, image_size=TINY_SIDE), took, dict.fromkeys(took, 9))
    assert {name: found[name][0] for name in rest} == pytest.approx(rest)
    assert found["row bytes"][0] == 9


@pytest.mark.parametrize(("predicted", "ratio", "met"), [(110, 1.1, True), (80, 1.25, False)])
def test_too_little_is_as_wrong_as_too_much(predicted, ratio, met):
    usage = Usage(wall=60.0, processor=100.0, peak=900.0, text="")
    row, goal = beside("a job", Shape(500), predicted, usage)
    assert goal.measured == pytest.approx(ratio)
    assert goal.met is met
    assert row["cores busy"] == pytest.approx(100 / 60 / os.cpu_count())


def test_the_predicted_jobs_differ_from_each_other_and_from_what_was_measured():
    assert len(set(RUNS.values())) == len(RUNS) >= 4
    assert all(shape.megapixels > TINY and shape.image_size > TINY_SIDE for shape in RUNS.values())


@pytest.mark.slow
@pytest.mark.parametrize(
    "shape",
    [
        Shape(13, 0.02, image_size=32, truth=True),
        Shape(3, 0.02, image_size=32, shards=True, flip=True, processes=2),
    ],
    ids=["files", "shards"],
)
def test_a_job_of_any_shape_is_run(shape, tmp_path):
    usage, row_bytes = run_job(shape, tmp_path)
    assert usage.processor > 2
    assert row_bytes > 200
    rows = (tmp_path / "output/metrics").glob("*.jsonl")
    text = "".join(path.read_text() for path in rows)
    assert text.count('"status": "ok"') == shape.images
    assert text.count('"mae"') == (shape.images if shape.truth else 0)
