"""The commands that run whole jobs, on the smallest sizes, and how masks are compared."""

import numpy as np
import pytest
from PIL import Image

from benchmarks import first_mask, memory, pipeline, run_inference
from benchmarks.measure import CORES, read
from benchmarks.run_inference import differences


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
    with pytest.raises(ValueError, match="other masks"):
        differences(ours, save(tmp_path / "more", a=gray, b=gray))
    with pytest.raises(ValueError, match=r"a\.png has another size"):
        differences(ours, save(tmp_path / "turned", a=gray.T))


@pytest.mark.slow
def test_the_pipeline_and_a_bare_loop(tmp_path):
    file = tmp_path / "pipeline.json"
    flags = ["--models", "basnet_mini", "--megapixels", "1", "--few", "1", "--many", "10"]
    pipeline.main([*flags, "--rounds", "1", "--output", str(file)])
    measured = read(file)
    (row,) = measured.rows
    assert row["photos"] == 10
    assert row["seconds"] > row["seconds, as printed"] > 0
    idle = row["seconds"] / (row["processor seconds"] / CORES)
    assert row["wall ÷ (processor ÷ cores)"] == pytest.approx(idle)
    assert row["photos/s"] == pytest.approx(10 / row["seconds"])
    loop = 10 / row["bare loop, photos/s"]
    assert row["seconds to the bare loop's"] == pytest.approx(row["seconds"] / loop)
    assert [goal.bound for goal in measured.goals] == [1.15, 1.6, 1.6]


@pytest.mark.slow
def test_run_inference_writes_the_same_masks(tmp_path):
    pytest.importorskip("tensorflow_hub")
    file = tmp_path / "run_inference.json"
    flags = ["--few", "1", "--many", "11", "--megapixels", "0.05", "--image_size", "64"]
    run_inference.main([*flags, "--rounds", "1", "--output", str(file)])
    exact, fast, theirs = read(file).rows
    assert theirs["what"] == "RunInference, float32"
    assert exact["largest difference of masks, of 255"] <= 1
    assert exact["share of pixels that differ"] < 1e-3
    assert fast["share of pixels that differ"] > exact["share of pixels that differ"]
    ratio = exact["photos/s"] / theirs["photos/s"]
    assert exact["to RunInference's"] == pytest.approx(ratio)


@pytest.mark.slow
def test_memory_by_the_number_of_photos(tmp_path):
    file = tmp_path / "memory.json"
    memory.main(["--counts", "12", "2", "--image_size", "32", "--output", str(file)])
    few, many = read(file).rows
    assert (few["photos"], many["photos"]) == (2, 12)
    # TensorFlow alone is larger than the first.
    assert 200 < few["peak memory, MiB"] < 5000


@pytest.mark.slow
def test_the_first_mask_is_there_before_the_end(tmp_path):
    file = tmp_path / "first_mask.json"
    first_mask.main(["--rounds", "1", "--output", str(file)])
    seconds = {row["what"]: row["seconds"] for row in read(file).rows}
    first, end = seconds["the command, to its first mask"], seconds["the command, to its end"]
    assert seconds["import TensorFlow and Keras"] < first < end
