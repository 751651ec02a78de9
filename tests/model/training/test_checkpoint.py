import h5py
import keras
import numpy as np
import pytest

from model.training.checkpoint import Log, restore, save_checkpoint, save_float16
from tests.model.toy import toy


def test_float16_weights_come_back(tmp_path):
    model, again = toy(), toy()
    for weight in model.weights:
        weight.assign(np.random.default_rng(1).uniform(0, 3, weight.shape))
    model.weights[2].assign(np.full(8, 1e6))  # more than float16 holds
    # A compiled model has an optimizer's state, twice the size of the weights: left out.
    model.compile("adamw", "mse")
    model.optimizer.build(model.trainable_variables)
    path = tmp_path / "small.weights.h5"
    save_float16(model, path)
    assert [path.name for path in tmp_path.iterdir()] == ["small.weights.h5"]
    again.load_weights(path)
    for one, other in zip(model.weights, again.weights, strict=True):
        one, other = np.asarray(one), np.asarray(other)
        expected = one.astype("float16").astype("float32") if one.ndim > 1 else one
        np.testing.assert_array_equal(other, expected)
    with h5py.File(path) as file:
        assert list(file) == ["layers"]
        dtypes = []
        file.visititems(lambda _, item: dtypes.append(getattr(item, "dtype", None)))
    assert np.dtype("float16") in dtypes


def test_a_checkpoint_of_another_network_changes_nothing(tmp_path):
    def compiled(model):
        model.compile("adamw", "mse")
        model.optimizer.build(model.trainable_variables)
        return model

    path, model = tmp_path / "checkpoint.npz", compiled(toy())
    save_checkpoint(model, path, {"seed": 1}, [0.5])
    deeper = keras.layers.Conv2D(1, 3, padding="same")(model.outputs[0])
    other = compiled(keras.Model(model.inputs, deeper))
    before = other.get_weights()
    with pytest.raises(ValueError, match=r"checkpoint\.npz is of another network"):
        restore(other, path, {"seed": 1})
    for one, weights in zip(before, other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, weights)
    assert restore(model, path, {"seed": 1}) == [0.5]


def test_a_log_goes_on_without_what_is_repeated_or_was_cut_short(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 2}\n{"step": 4}\n{"step": 6}\n{"st')
    Log(path, 4).write({"step": 6, "loss": 0.5})
    assert path.read_text() == '{"step": 2}\n{"step": 4}\n{"step": 6, "loss": 0.5}\n'
    assert list(tmp_path.iterdir()) == [path]
