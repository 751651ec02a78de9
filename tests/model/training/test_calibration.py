import keras
import numpy as np

from model.training.calibration import calibrate, finished
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


def test_averaged_weights_are_there_during_the_block_only():
    rng = np.random.default_rng(0)
    batches = [rng.integers(0, 256, (3, 16, 16, 3), "uint8")]
    model = toy()
    # With a momentum of almost 1 the averages stay where the weights are after the first step.
    model.compile(keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.999999), "mse")
    images, truth = batches[0].astype("float32"), np.ones((3, 16, 16, 1), "float32")
    model.train_on_batch(images, truth)
    first = model.get_weights()
    model.train_on_batch(images, truth)
    trained = model.get_weights()
    kernel, calibrated = 0, toy()
    assert np.abs(trained[kernel] - first[kernel]).max() > 1e-4
    with finished(model, batches):
        np.testing.assert_allclose(model.get_weights()[kernel], first[kernel], atol=1e-5)
        calibrated.set_weights(model.get_weights())
        calibrate(calibrated, batches)
        np.testing.assert_allclose(
            model.layers[3].moving_mean, calibrated.layers[3].moving_mean, rtol=1e-3
        )
    for one, other in zip(model.get_weights(), trained, strict=True):
        np.testing.assert_array_equal(one, other)
