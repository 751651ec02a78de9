import pytest

from model.training.config import TrainConfig


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"crop": 100},
        {"crop": 288},
        {"ema": 1.0},
        {"checkpoint_every": 0},
        {"encoder_rate": -0.1},
    ],
)
def test_values_that_cannot_work_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        TrainConfig(**wrong)
