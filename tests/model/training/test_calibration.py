import keras
import numpy as np

from model.training.calibration import calibrate
from tests.model.toy import toy


def test_calibration_averages_the_moments_of_batches():
    rng = np.random.default_rng(0)
    batches = [rng.integers(0, 256, (3, 16, 16, 3), "uint8") for _ in range(4)]
    model = toy()
    calibrate(model, batches)
    features = keras.Model(model.inputs, model.layers[2].output)
    norm = model.layers[3]
    assert isinstance(norm, keras.layers.BatchNormalization)
    assert norm.momentum == 0.8
    maps = [np.asarray(features(batch.astype("float32"))) for batch in batches]
    means = np.mean([m.mean(axis=(0, 1, 2)) for m in maps], axis=0)
    variances = np.mean([m.var(axis=(0, 1, 2)) for m in maps], axis=0)
    np.testing.assert_allclose(norm.moving_mean, means, rtol=1e-4)
    np.testing.assert_allclose(norm.moving_variance, variances, rtol=1e-4)
