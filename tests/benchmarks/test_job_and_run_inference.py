"""How masks are compared, the figures that follow from times, and one small run of all jobs."""

import numpy as np
import pytest
from PIL import Image

from benchmarks.job_and_run_inference import OURS, THEIRS, differences, run_all, summarize
from benchmarks.timed_commands import Usage
from model.inference.load import load_model


def save(folder, **masks):
    folder.mkdir()
    for name, mask in masks.items():
        Image.fromarray(mask).save(folder / f"{name}.png")
    return folder


def test_masks_are_compared_pixel_by_pixel(tmp_path):
    gray = np.full((10, 20), 250, "uint8")
    other = gray.copy()
    other[0, :5] = (255, 251, 249, 5, 250)
    ours = save(tmp_path / "ours", a=gray, b=gray)
    assert differences(ours, save(tmp_path / "same", a=gray, b=gray)) == (0, 0)
    assert differences(ours, save(tmp_path / "unlike", a=gray, b=other)) == (245, 4 / 400)


def test_masks_of_other_names_or_sizes_are_no_comparison(tmp_path):
    gray = np.zeros((10, 20), "uint8")
    ours = save(tmp_path / "ours", a=gray)
    with pytest.raises(ValueError, match="files of other names"):
        differences(ours, save(tmp_path / "more", a=gray, b=gray))
    with pytest.raises(ValueError, match=r"masks a\.png differ in size"):
        differences(ours, save(tmp_path / "turned", a=gray.T))


def test_figures_follow_from_the_times(tmp_path):
    wall = {"pipeline, float32": (10, 20), "pipeline, bfloat16": (10, 15), THEIRS: (20, 60)}
    jobs = {
        (name, count): [Usage(seconds, 1.0, 1.0, "")]
        for name, both in wall.items()
        for count, seconds in zip((50, 300), both, strict=True)
    }
    gray = np.zeros((10, 20), "uint8")
    save(tmp_path / f"{THEIRS} 300", a=gray)
    for name in OURS:
        (tmp_path / f"{name} 300").mkdir()
        save(tmp_path / f"{name} 300" / "masks", a=gray + 3)
    (exact, fast, theirs), goals = summarize(jobs, (50, 300), tmp_path, 1.0)
    assert theirs["photos/s"] == 300 / 60
    assert exact["photos/s to RunInference's"] == pytest.approx(60 / 20)
    assert fast["photos/s to RunInference's, start-up apart"] == pytest.approx(40 / 5)
    assert exact["largest difference of masks, of 255"] == 3
    assert exact["share of pixels that differ"] == 1
    assert [goal.met for goal in goals] == [True, True, False, True, True]


@pytest.mark.slow
def test_run_inference_writes_the_same_masks(tmp_path):
    pytest.importorskip("tensorflow_hub")
    model = tmp_path / "basnet_mini.keras"
    load_model("basnet_mini").save(model)
    folder = tmp_path / "jobs"
    run_all(model, folder, 0.05, (11,), size=64, rounds=1)
    exact, fast = (
        differences(folder / f"{name} 11" / "masks", folder / f"{THEIRS} 11") for name in OURS
    )
    assert exact[0] <= 1
    assert exact[1] < 1e-3 < fast[1]
