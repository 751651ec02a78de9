import contextlib
import io
import json

import numpy as np
import pytest

from model.training.config import TrainConfig
from model.training.loop import train
from tests.model.toy import toy

# Keras' own conversion of TensorFlow variables to NumPy 2 arrays.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SMALL = {"steps": 12, "batch_size": 2, "crop": 64, "resize": 72, "warmup_steps": 2}
SMALL |= {"learning_rate": 1e-2, "checkpoint_every": 3, "validate_every": 4}


def _rows(output):
    return [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]


def test_training_lowers_the_loss(pairs, tmp_path):
    model = toy()
    losses = train(
        model, pairs, TrainConfig(**{**SMALL, "steps": 40}), tmp_path, validation=pairs[:3]
    )
    assert len(losses) == 40
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])
    rows = _rows(tmp_path)
    assert [row["step"] for row in rows] == list(range(4, 41, 4))
    assert rows[-1]["iou"] > rows[0]["iou"]
    assert {"mae", "max_f", "iou", "loss", "lr", "images/s", "seconds"} < set(rows[0])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint.npz",
        "final.weights.h5",
        "log.jsonl",
    ]


def _half_frozen():
    model = toy()
    model.layers[2].trainable = model.layers[3].trainable = False
    return model


class Interrupting(io.StringIO):
    """Standard output that is interrupted by Ctrl-C when the log tells of step 8."""

    def write(self, text):
        if '"step": 8' in text:
            raise KeyboardInterrupt
        return super().write(text)


@pytest.mark.parametrize(
    ("build", "ema", "rate"),
    [
        (toy, 0.9, 0.1),
        pytest.param(toy, 0.0, 1.0, marks=pytest.mark.slow),
        pytest.param(_half_frozen, 0.9, 1.0, marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_run_has_the_result_of_an_uninterrupted_one(
    pairs, tmp_path, build, ema, rate
):
    config = TrainConfig(**SMALL, ema=ema, encoder_rate=rate)

    def trained(model, folder):
        others = {"validation": pairs[:3], "encoder": model.backbone.layers}
        return train(model, pairs, config, folder, **others)

    model = build()
    whole = trained(model, tmp_path / "whole")
    # The last checkpoint is that of step 6.
    with contextlib.redirect_stdout(Interrupting()), pytest.raises(KeyboardInterrupt):
        trained(build(), tmp_path / "parts")
    assert not (tmp_path / "parts" / "final.weights.h5").exists()

    resumed = build()
    parts = trained(resumed, tmp_path / "parts")
    np.testing.assert_allclose(parts, whole, atol=1e-5)
    for one, other in zip(model.weights, resumed.weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    kept = ("step", "loss", "lr", "mae", "max_f", "iou")
    for one, other in zip(_rows(tmp_path / "whole"), _rows(tmp_path / "parts"), strict=True):
        np.testing.assert_allclose([one[k] for k in kept], [other[k] for k in kept], atol=1e-5)


def test_a_finished_run_is_left_as_it_is(pairs, tmp_path):
    config = TrainConfig(**{**SMALL, "steps": 3})
    losses = train(toy(), pairs, config, tmp_path)
    assert train(toy(), pairs, config, tmp_path) == losses


def test_minutes_stop_a_run_that_can_go_on(pairs, tmp_path):
    losses = train(toy(), pairs, TrainConfig(**SMALL, minutes=1e-6), tmp_path)
    assert len(losses) == 1
    assert (tmp_path / "final.weights.h5").exists()
    assert len(train(toy(), pairs, TrainConfig(**SMALL), tmp_path)) == 12


def test_averages_are_scored_and_kept_and_training_goes_on_without_them(pairs, tmp_path):
    """A momentum of almost 1 keeps the average where it began, while the weights move."""
    model, start = toy(), toy()
    config = TrainConfig(**{**SMALL, "steps": 20}, ema=0.999999)
    losses = train(model, pairs, config, tmp_path / "average", validation=pairs[:3])
    assert np.ptp([row["iou"] for row in _rows(tmp_path / "average")]) < 1e-3
    for one, other in zip(model.trainable_weights, start.trainable_weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)
    plain = train(toy(), pairs, TrainConfig(**{**SMALL, "steps": 20}), tmp_path / "plain")
    np.testing.assert_allclose(losses, plain, rtol=1e-4)


def test_what_is_frozen_stays_as_it_is(pairs, tmp_path):
    config = TrainConfig(**{**SMALL, "steps": 5})
    model, start = _half_frozen(), toy()
    train(model, pairs, config, tmp_path)
    for number, (one, other) in enumerate(zip(model.layers, start.layers, strict=True)):
        for ours, before in zip(one.get_weights(), other.get_weights(), strict=True):
            assert np.array_equal(ours, before) == (number in (2, 3))
    with pytest.raises(ValueError, match=r"another run: trained is \d of \d+ weights, was \d of"):
        train(toy(), pairs, config, tmp_path)


def test_the_encoder_learns_at_its_own_rate(pairs, tmp_path):
    """Five steps of Adam go five times as far as the learning rate, or less."""
    config = TrainConfig(**{**SMALL, "steps": 5}, encoder_rate=0.01)
    model, start = toy(), toy()
    train(model, pairs, config, tmp_path, encoder=model.backbone.layers)
    steps = [
        np.abs(one - other).max()
        for one, other in zip(model.get_weights(), start.get_weights(), strict=True)
        if one.ndim == 4
    ]
    assert len(steps) == 2
    assert 1e-6 < steps[0] < 5e-4
    assert 5e-3 < steps[1] < 5e-2


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        pytest.param({"crop": 32}, marks=pytest.mark.slow),
        pytest.param({"pairs": 11}, marks=pytest.mark.slow),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(pairs, tmp_path, change):
    small = {**SMALL, "steps": 1}
    train(toy(), pairs, TrainConfig(**small), tmp_path)
    pairs = pairs[: change.pop("pairs", 12)]
    with pytest.raises(ValueError, match=r"checkpoint\.npz is of another run: \w+ is .+, was "):
        train(toy(), pairs, TrainConfig(**{**small, **change}), tmp_path)


def test_what_cannot_be_trained_is_refused_before_anything_is_written(pairs, tmp_path):
    output = tmp_path / "run"
    for size in (0, 100):
        with pytest.raises(ValueError, match=f"validation_size .* multiple of 32, got {size}"):
            train(toy(), pairs, TrainConfig(**SMALL), output, validation_size=size)
    with pytest.raises(ValueError, match="encoder_rate is 0.1, but there is no encoder"):
        train(toy(), pairs, TrainConfig(**SMALL, encoder_rate=0.1), output)
    assert not output.exists()
