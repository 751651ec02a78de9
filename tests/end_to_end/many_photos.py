"""Photos for some seconds of work, so that a test finds the command at it."""

import os

import numpy as np
from PIL import Image

from tests.end_to_end.command import write_network

# A command that annotates them with a small network.
FLAGS = ("--input=in", "--model=net.keras", "--image_size=64")


def write_photos(folder, count, size=(2400, 1800)):
    """Writes many names of one photo, which is not of one colour, and a small network."""
    (folder / "in").mkdir()
    rough = Image.fromarray(np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8))
    rough.resize(size).save(folder / "in" / "0.jpg")
    for number in range(1, count):
        os.link(folder / "in" / "0.jpg", folder / "in" / f"{number}.jpg")
    write_network(folder / "net.keras")
