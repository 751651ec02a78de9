import keras
import numpy as np
import pytest

from model.training.fused_normalization import (
    FusedBatchNormalization,
    copy_weights,
    with_fused_normalization,
)
from tests.model.toy import toy


def test_fused_normalization_trains_as_keras_does():
    batch = np.random.default_rng(0).uniform(0, 255, (6, 32, 32, 3)).astype("float32")
    target = (batch[..., :1] > 128).astype("float32")
    plain, original = toy(), toy()
    fused = with_fused_normalization(original)
    kinds = [type(layer) for layer in fused.layers]
    assert kinds.count(FusedBatchNormalization) == 1
    np.testing.assert_array_equal(fused.predict(batch), plain.predict(batch))
    for model in (plain, fused):
        model.compile(keras.optimizers.SGD(0.05), "mse")
    for _ in range(4):
        losses = [model.train_on_batch(batch, target) for model in (plain, fused)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for one, other in zip(plain.weights, fused.weights, strict=True):
        one, other = keras.ops.convert_to_numpy(one), keras.ops.convert_to_numpy(other)
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)
    copy_weights(fused, original)
    np.testing.assert_array_equal(original.predict(batch), fused.predict(batch))
