"""The steps around the network, timed in a checkout, and compared with another."""

import numpy as np
import pytest
from PIL import Image

from benchmarks.surroundings import differences, milliseconds, run_steps
from benchmarks.timed_commands import ROOT


@pytest.fixture
def inputs(tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "inputs"
    folder.mkdir()
    pixels = rng.integers(0, 256, (90, 120, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "a.jpg")
    np.save(folder / "a.npy", rng.random((32, 32), np.float32))
    Image.fromarray(pixels[..., 0] // 128 * np.uint8(255)).save(folder / "a.png")
    return folder


def test_steps_are_timed_in_a_checkout_and_equal_themselves(inputs, tmp_path):
    masks = tmp_path / "masks"
    turn = run_steps(ROOT, inputs, masks)
    found = milliseconds([turn])
    assert found["with truth"] > found["without truth"] > found["png"] > 0
    assert found["PNG, kB"] == turn["a"]["bytes"] / 1000
    said = differences(turn, inputs, (masks, masks))
    assert "pixels 0.0 are another, by 0 of" in said and "differ by 0 at most" in said

    changed = tmp_path / "changed"
    changed.mkdir()
    mask = np.load(masks / "a.npy")
    mask[0, 0] ^= 3
    np.save(changed / "a.npy", mask)
    turn["a"]["figures"]["mae"] += 0.25
    said = differences(turn, inputs, (masks, changed))
    assert f"pixels {1e6 / mask.size:.1f} are another" in said and "differ by 0.2" in said


def test_medians_of_turns_are_averaged_over_photos():
    steps = ("decode", "mask", "png", "description", "truth", "comparison")

    def turn(first, second):
        photos = {"a": first, "b": second}
        return {name: {**dict.fromkeys(steps, ms), "bytes": 2000} for name, ms in photos.items()}

    found = milliseconds([turn(1, 4), turn(2, 4), turn(9, 40)])
    assert found["decode"] == 3
    assert (found["without truth"], found["with truth"]) == (12, 18)
    assert found["PNG, kB"] == 2
