import keras
import numpy as np
import pytest

from model.training.validation import evaluate


def test_scores_of_known_maps():
    truth = np.zeros((64, 64), "uint8")
    truth[:32] = 255
    image = np.repeat(truth[..., None], 3, axis=-1)
    inputs = keras.Input((None, None, 3))

    def score(function):
        predictor = keras.Model(inputs, function(inputs[..., :1] / 255.0))
        return evaluate(predictor, [(image, truth)] * 3, batch_size=2)

    assert score(lambda x: x) == pytest.approx({"mae": 0, "max_f": 1, "iou": 1})
    assert score(lambda x: 1 - x)["iou"] == 0
    # All marked: precision 1/2, recall 1.
    everything = score(lambda x: 0 * x + 1)
    assert everything == pytest.approx({"mae": 0.5, "max_f": 1.3 * 0.5 / 1.15, "iou": 0.5})
