import h5py
import numpy as np

from model.checkpoint import save_float16
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
