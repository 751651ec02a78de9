"""The weighted F-measure, against its definition on whole images."""

import math

import numpy as np
import pytest

from model.metrics import weighted_f as module
from model.metrics.weighted_f import weighted_f
from tests.model.metrics import plain


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("block", [(64, 256), (5, 7)])
def test_it_equals_its_definition(monkeypatch, seed, block):
    monkeypatch.setattr(module, "_BLUR_BLOCK", block)
    monkeypatch.setattr(module, "_DISCOUNT_BLOCK", block)
    prediction, truth = plain.random_pair(seed)
    expected = plain.weighted_f(prediction, truth)
    assert weighted_f(prediction, truth) == pytest.approx(expected, rel=1e-12, abs=1e-14)


def test_errors_beyond_the_reach_of_the_discount_count_in_full():
    rng = np.random.default_rng(0)
    truth = np.zeros((300, 420), bool)
    truth[250:, :30] = True
    prediction = rng.integers(0, 256, truth.shape, dtype=np.uint8)
    # 2^-32 is left out.
    expected = plain.weighted_f(prediction, truth)
    assert weighted_f(prediction, truth) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("start", "stop"), [(0, 4), (300, 309), (695, 700)])
def test_weighted_f_far_from_the_object(start, stop):
    # One row, so that the nearest pixel of the object is plain; longer than the discount reaches.
    rng = np.random.default_rng(start)
    prediction = rng.integers(0, 256, (1, 700), dtype=np.uint8)
    prediction[0, :100] = 0
    truth = np.zeros((1, 700), bool)
    truth[0, start:stop] = True
    error = np.abs(prediction[0] / 255 - truth[0])
    kernel = [[math.exp(-(x * x + y * y) / 50) for x in range(-3, 4)] for y in range(-3, 4)]
    middle = np.array(kernel[3]) / np.sum(kernel)
    inside = outside = 0.0
    for x in range(700):
        if start <= x < stop:
            window = [i for i in range(x - 3, x + 4) if 0 <= i < 700]
            blurred = sum(middle[i - x + 3] * error[min(max(i, start), stop - 1)] for i in window)
            inside += min(error[x], blurred)
        else:
            distance = max(start - x, x - stop + 1)
            outside += error[x] * (2 - 0.5 ** (distance / 5))
    recall = 1 - inside / (stop - start)
    hits = recall * (stop - start)
    precision = hits / (hits + outside)
    expected = 2 * precision * recall / (precision + recall)
    # 2^-32 is left out.
    assert weighted_f(prediction, truth) == pytest.approx(expected, rel=1e-9)
