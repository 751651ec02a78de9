"""Parts of masks, counted by runs and by another library."""

import numpy as np
import pytest
from scipy import ndimage

from model.metrics import components
from model.metrics.components import count_components
from tests.model.metrics.plain import SHAPES, random_pair


def expected_of(mask):
    return ndimage.label(mask, np.ones((3, 3)))[1]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("share", [0, 0.01, 0.2, 0.4, 0.6, 0.95, 1])
@pytest.mark.parametrize("pixels_a_run", [0, 32, 10**9])
def test_parts_of_noise_are_counted(monkeypatch, shape, share, pixels_a_run):
    """By runs, by what the mask is like, and by pixels."""
    monkeypatch.setattr(components, "_PIXELS_A_RUN", pixels_a_run)
    mask = np.random.default_rng(3).random(shape) < share
    assert count_components(mask) == expected_of(mask)


@pytest.mark.parametrize("seed", range(20))
def test_parts_of_maps_are_counted(monkeypatch, seed):
    monkeypatch.setattr(components, "_PIXELS_A_RUN", 0)
    prediction, truth = random_pair(seed)
    for mask in (prediction >= 128, truth):
        assert count_components(mask) == expected_of(mask)


def test_diagonal_neighbours_in_either_direction_join_and_ends_of_rows_do_not(monkeypatch):
    monkeypatch.setattr(components, "_PIXELS_A_RUN", 0)
    diagonal = np.eye(80, dtype=bool)
    assert count_components(diagonal) == count_components(diagonal[:, ::-1]) == 1
    edges = np.zeros((4, 70), bool)
    edges[[0, 2], -1] = edges[[1, 3], 0] = True
    assert count_components(edges) == 4
