"""The peak of plain convolutions, and the figures of a case."""

import time

import keras
import pytest
from keras import layers

from benchmarks.network_speed import (
    Case,
    Convolution,
    fastest,
    measure,
    mini_case,
    plain_convolution,
)


def test_the_peak_is_the_convolution_of_most_operations_in_a_second():
    short = Convolution(1.0, lambda: time.sleep(0.01))
    best = Convolution(9.0, lambda: time.sleep(0.03))
    long = Convolution(12.0, lambda: time.sleep(0.12))
    assert fastest([short, best, long]) is best


def test_a_plain_convolution_is_repeated_to_the_number_of_operations():
    once = 2 * 9 * 4**2 * 8**2
    convolution = plain_convolution(1, 8, 4, "float32", operations=3.2 * once)
    assert convolution.operations == 3 * once
    convolution.run()


@pytest.fixture(scope="module")
def peaks():
    return {"float32": plain_convolution(1, 16, 32, "float32", operations=1e8)}


def test_figures_of_a_case_follow_from_its_seconds(peaks):
    inputs = keras.Input((None, None, 3))
    maps = layers.Conv2D(1, 3, padding="same", activation="sigmoid")(inputs)
    ours = keras.Model(inputs, maps)
    ours.layers[-1].kernel.assign(ours.layers[-1].kernel * 0.01)
    peers = {
        "same": lambda pixels: ours.predict_on_batch(255 * pixels)[..., 0],
        "wrong": lambda pixels: ours.predict_on_batch(255 * pixels)[..., 0] + 0.25,
    }
    case = Case("one convolution", 64, 2, ours, peers, 1.0, {"float32": 0.4})
    (same, wrong, own), (goal,) = measure(case, peaks, 3)
    assert (same["what"], wrong["what"], own["what"]) == ("same", "wrong", "ours, float32")
    assert wrong["largest difference of maps"] == pytest.approx(0.25)
    assert own["largest difference of maps"] < 1e-5
    ratio = own["seconds an image"] / same["seconds an image"]
    assert own["of the first's time"] == goal.measured == pytest.approx(ratio)
    work = 2 * 64 * 64 * 9 * 3
    assert own["GFLOP/s"] == pytest.approx(work / own["seconds an image"] / 1e9)
    assert own["share of it"] == pytest.approx(own["GFLOP/s"] / own["plain 3x3, GFLOP/s"])
    assert "share of it" not in same


@pytest.mark.slow
def test_the_bundled_network_computes_what_keras_does(peaks):
    rows, _ = measure(mini_case(32, None), peaks, 1)
    assert [row["what"] for row in rows] == [
        "Keras `predict`, float32",
        "Keras `predict`, float32, without XLA",
        "ours, float32",
    ]
    assert rows[0]["network"] == "basnet_mini, 32², batch 8"
    assert 0 < rows[2]["largest difference of maps"] < 1e-4
