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


@pytest.mark.parametrize(("level", "is_object"), [(128, False), (129, True)])
def test_truths_are_foreground_above_128(level, is_object):
    """As the pipeline decodes them."""
    truth = np.full((32, 32), level, "uint8")
    inputs = keras.Input((None, None, 3))
    everything = keras.Model(inputs, 0 * inputs[..., :1] + 1)
    scores = evaluate(everything, [(np.zeros((32, 32, 3), "uint8"), truth)], batch_size=1)
    assert scores["iou"] == float(is_object)
    assert scores["mae"] == float(not is_object)


def test_an_empty_map_of_an_empty_truth_has_an_iou_of_one():
    inputs = keras.Input((None, None, 3))
    nothing = keras.Model(inputs, 0 * inputs[..., :1])
    blank = np.zeros((32, 32, 3), "uint8")
    assert evaluate(nothing, [(blank, blank[..., 0])], batch_size=1)["iou"] == 1
