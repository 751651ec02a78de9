"""Masks that are hard to describe: holes, islands in holes, corners that touch, borders."""

import numpy as np


def mask_of(*rows):
    """The mask that is drawn: # is foreground."""
    return np.array([[one == "#" for one in row] for row in rows])


RING = mask_of(
    ".........",
    ".#######.",
    ".#.....#.",
    ".#.###.#.",
    ".#.#.#.#.",
    ".#.###.#.",
    ".#.....#.",
    ".#######.",
    ".........",
)
CORNERS = mask_of(
    "#..#",
    ".##.",
    ".##.",
    "#..#",
)
PARTS = mask_of(
    "##...##",
    "##...##",
    ".......",
    "..###..",
    "..#.#..",
    "..###..",
)
DRAWN = {
    "ring": RING,
    "corners": CORNERS,
    "parts": PARTS,
    "dot": np.ones((1, 1), bool),
    "all": np.ones((3, 5), bool),
    "column": np.eye(1, 5, 2, dtype=bool).T,
    "chess": np.indices((6, 7)).sum(0) % 2 == 0,
}


def blobs(size=(83, 61), seed=0, level=0.5):
    """Smooth random shapes with holes, bool (height, width)."""
    from scipy import ndimage

    noise = ndimage.gaussian_filter(np.random.default_rng(seed).random(size[::-1]), 3)
    return noise > np.quantile(noise, level)


def noise(size=(40, 31), seed=0, share=0.5):
    """Every pixel by itself."""
    return np.random.default_rng(seed).random(size[::-1]) < share


MASKS = {**DRAWN, "blobs": blobs(), "noise": noise()}
