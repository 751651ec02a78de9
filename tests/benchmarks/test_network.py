"""Operations of a network, its peers, and the table of them at the smallest size."""

import keras
import numpy as np
import pytest
from keras import layers

from benchmarks.measure import read
from benchmarks.network import Case, main, measure, peak_convolution
from benchmarks.networks import keras_hub_network, operations, randomize
from model.networks.basnet import BASNet


def test_operations_are_counted_for_the_first_output_alone():
    inputs = keras.Input((None, None, 3))
    x = layers.Conv2D(8, 3, padding="same")(inputs)
    first = layers.Conv2D(1, 1)(layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False)(x))
    second = layers.Conv2D(16, 5)(x)
    model = keras.Model(inputs, [first, second])
    expected = 2 * (32 * 32 * 9 * 3 * 8 + 16 * 16 * 9 * 8 * 4 + 16 * 16 * 4 * 1)
    assert operations(model, 32) == expected


def test_dilated_convolutions_count_like_others():
    plain, dilated = (
        keras.Sequential([keras.Input((64, 64, 3)), layers.Conv2D(4, 3, **each, padding="same")])
        for each in ({}, {"dilation_rate": 2})
    )
    assert operations(dilated, 64) == operations(plain, 64)


def test_depthwise_convolutions_count_once_a_channel():
    depthwise = layers.DepthwiseConv2D(3, padding="same")
    model = keras.Sequential([keras.Input((32, 32, 3)), depthwise])
    assert operations(model, 32) == 2 * 32 * 32 * 9 * 3


def test_operations_of_the_bundled_network_are_what_was_counted_by_hand():
    model = BASNet.from_preset("basnet_mini", load_weights=False)
    assert operations(model, 256) == pytest.approx(6.466e9, rel=0.005)


def test_random_weights_keep_features_alive():
    model = BASNet.from_preset("basnet_mini", load_weights=False)
    randomize(model)
    image = np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3))
    found = model.predict_on_batch(image)[0]
    assert np.isfinite(found).all()
    assert found.std() > 0.005


def test_the_peak_is_that_of_the_fastest_convolution(monkeypatch):
    monkeypatch.setattr("benchmarks.network._PLAIN", ((1, 8, 16), (1, 32, 32)))
    monkeypatch.setattr("benchmarks.network._convolution", lambda *shape: (shape[1], lambda: None))
    monkeypatch.setattr("benchmarks.network.timed", lambda run: lambda: 2.0)
    work, _ = peak_convolution.__wrapped__("float32")
    assert work == 32


@pytest.fixture
def quick_peak(monkeypatch):
    monkeypatch.setattr("benchmarks.network._PLAIN", ((1, 16, 32),))
    monkeypatch.setattr("benchmarks.network._WORK", 1e8)
    peak_convolution.cache_clear()
    yield
    peak_convolution.cache_clear()


@pytest.mark.usefixtures("quick_peak")
def test_figures_of_a_case_follow_from_its_seconds():
    inputs = keras.Input((None, None, 3))
    maps = layers.Conv2D(1, 3, padding="same", activation="sigmoid")(inputs)
    ours = keras.Model(inputs, maps)
    ours.layers[-1].kernel.assign(ours.layers[-1].kernel * 0.01)
    peers = {
        "same": lambda pixels: ours.predict_on_batch(255 * pixels)[..., 0],
        "wrong": lambda pixels: ours.predict_on_batch(255 * pixels)[..., 0] + 0.25,
    }
    case = Case("one convolution", 64, 2, ours, peers, 1.0, {"float32": 0.4})
    (same, wrong, own), (goal,) = measure(case, ["float32"], 3)
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
@pytest.mark.usefixtures("quick_peak")
def test_the_smallest_table(tmp_path, capsys):
    file = tmp_path / "network.json"
    flags = ["--cases", "mini", "--size", "32", "--rounds", "2", "--precisions", "float32"]
    main([*flags, "--output", str(file)])
    measured = read(file)
    assert [row["what"] for row in measured.rows] == [
        "Keras `predict`, float32",
        "Keras `predict`, float32, without XLA",
        "ours, float32",
    ]
    assert not measured.goals  # They are for the usual sizes.
    assert 0 < measured.rows[2]["largest difference of maps"] < 1e-4
    assert "| basnet_mini, 32², batch 8 | ours, float32 |" in capsys.readouterr().out


@pytest.mark.slow
def test_the_network_of_keras_hub_is_ours():
    pytest.importorskip("keras_hub")
    theirs, ours = keras_hub_network()
    pixels = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3)).astype("float32")
    found = theirs(pixels / 255)
    assert found.std() > 0.005
    np.testing.assert_allclose(ours(pixels)[0][..., 0], found, rtol=0, atol=1e-4)
