import numpy as np
import pytest
from PIL import Image, ImageDraw

from model.training.pairs import find_pairs


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twelve images of bright discs on dark noise, with their masks."""
    folder = tmp_path_factory.mktemp("discs")
    rng = np.random.default_rng(0)
    for name in ("images", "masks"):
        (folder / name).mkdir()
    for number in range(12):
        size = (90, 70)
        x, y, r = rng.integers(25, 60), rng.integers(20, 50), rng.integers(10, 20)
        mask = Image.new("1", size)
        ImageDraw.Draw(mask).ellipse((x - r, y - r, x + r, y + r), fill=1)
        pixels = rng.integers(0, 90, (70, 90, 3)) + 140 * np.asarray(mask)[..., None]
        image = Image.fromarray(pixels.astype("uint8"))
        image.save(folder / "images" / f"disc{number}.jpg")
        mask.save(folder / "masks" / f"disc{number}.png")
    return folder


@pytest.fixture(scope="module")
def pairs(folder):
    return find_pairs(folder)
