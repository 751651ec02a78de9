import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np
import pytest

from model import train as command
from model.networks.basnet import BASNet
from model.training import loop as training
from model.training.checkpoint import save_float16
from model.training.loop import TrainConfig, train
from tests.model.toy import toy

# Keras' own conversion of TensorFlow variables to NumPy 2 arrays.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

ROOT = Path(__file__).parents[2]
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


@pytest.mark.parametrize(
    ("build", "ema", "rate"),
    [
        (toy, 0.9, 0.1),
        pytest.param(toy, 0.0, 1.0, marks=pytest.mark.slow),
        pytest.param(toy, 0.9, 1.0, marks=pytest.mark.slow),
        pytest.param(_half_frozen, 0.9, 1.0, marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(
    pairs, tmp_path, monkeypatch, build, ema, rate
):
    config = TrainConfig(**SMALL, ema=ema, encoder_rate=rate)

    def trained(model, folder):
        others = {"validation": pairs[:3], "encoder": model.backbone.layers}
        return train(model, pairs, config, folder, **others)

    model = build()
    whole = trained(model, tmp_path / "whole")

    step = keras.Model.train_on_batch
    left = iter(range(8))

    def train_on_batch(*args, **kwargs):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return step(*args, **kwargs)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(keras.Model, "train_on_batch", train_on_batch)
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


@pytest.mark.parametrize("fused", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_averages_are_scored_and_kept_and_training_goes_on_without_them(
    pairs, tmp_path, monkeypatch, fused
):
    """A momentum of almost 1 keeps the average where it began, while the weights move."""
    if not fused:  # As on JAX, where the model itself is trained.
        monkeypatch.setattr(training, "with_fused_normalization", lambda model: model)
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


def test_the_command(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(BASNet, "from_preset", lambda preset, **_: toy())
    flags = ["--output", str(tmp_path / "run"), "--validation_fraction", "0.3"]
    flags += [text for name, value in SMALL.items() for text in (f"--{name}", str(value))]
    start = tmp_path / "start.weights.h5"
    save_float16(toy(), start)
    flags += ["--weights", str(start), "--validation_size", "96"]
    policy = keras.config.dtype_policy()
    try:
        command.main(["--data", f"{folder}=2", str(folder), *flags])
    finally:
        keras.config.set_dtype_policy(policy)
    assert (tmp_path / "run" / "final.weights.h5").exists()
    assert "held out; from step 0" in capsys.readouterr().out


@pytest.mark.parametrize(
    "preset",
    [
        "resnet18",
        pytest.param("basnet_resnet18", marks=pytest.mark.slow),
        pytest.param("basnet_paper", marks=pytest.mark.slow),
    ],
)
def test_residual_presets_are_trained_on_any_crop(folder, tmp_path, monkeypatch, preset):
    """One names a backbone only, one is for images of 288², one has a stem of its own."""
    given = []
    monkeypatch.setattr(training, "train", lambda *args, **kwargs: given.append((args, kwargs)))
    command.main(["--data", str(folder), "--output", str(tmp_path), "--model", preset])
    (((model, *_), kwargs),) = given
    encoder = {layer.name for layer in kwargs["encoder"] if layer.weights}
    # The stem of KerasCV's is not part of the network.
    parts = {layer.name for layer in model.backbone.layers if layer.weights}
    assert encoder == {name for name in parts if not name.startswith("resnet_stem")}
    assert any("stem" in name for name in encoder) == (preset == "basnet_paper")
    assert len(encoder) > 30
    assert model.input_shape == (None, None, None, 3)
    assert {output.shape for output in model.outputs} == {(None, None, None, 1)}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("nowhere", "there is no folder nowhere"),
        ("FOLDER=heavy", "is not a number"),
        ("FOLDER=0", "must be positive, got 0.0"),
        pytest.param(
            "FOLDER --encoder nowhere.pth",
            "No such file or directory: 'nowhere.pth'",
            marks=pytest.mark.skipif(find_spec("torch") is None, reason="needs the extra torch"),
        ),
        ("FOLDER --encoder_rate 0", "has learned something; give --weights or --encoder\n"),
        ("FOLDER --encoder_rate 0 --model basnet_paper", "has learned something; give --weights\n"),
        ("FOLDER --encoder_rate 2", "encoder_rate must be in [0, 1], got 2.0"),
        (
            "FOLDER --encoder weights.pth --model basnet_paper",
            "is for an EfficientNet-Lite0, as basnet_mini has it; basnet_paper has none",
        ),
    ],
)
def test_wrong_usage(folder, tmp_path, capsys, data, message):
    data = data.replace("FOLDER", str(folder))
    with pytest.raises(SystemExit) as status:
        command.main(["--data", *data.split(" "), "--output", str(tmp_path)])
    assert status.value.code == 2
    assert message in capsys.readouterr().err


def test_ctrl_c_says_how_to_go_on(folder, tmp_path, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(BASNet, "from_preset", interrupted)
    with pytest.raises(SystemExit) as status:
        command.main(["--data", str(folder), "--output", str(tmp_path)])
    assert status.value.code == 130
    assert "goes on from the last checkpoint" in capsys.readouterr().err


def test_what_cannot_be_trained_is_refused_before_anything_is_written(pairs, tmp_path):
    output = tmp_path / "run"
    for size in (0, 100):
        with pytest.raises(ValueError, match=f"validation_size .* multiple of 32, got {size}"):
            train(toy(), pairs, TrainConfig(**SMALL), output, validation_size=size)
    with pytest.raises(ValueError, match="encoder_rate is 0.1, but there is no encoder"):
        train(toy(), pairs, TrainConfig(**SMALL, encoder_rate=0.1), output)
    assert not output.exists()


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
def test_wrong_configurations(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        TrainConfig(**wrong)


def _children(pid):
    """Processes that a process has started, on Linux; elsewhere none are known."""
    tasks = Path(f"/proc/{pid}/task")
    files = tasks.glob("*/children") if tasks.exists() else []
    return [int(child) for file in files for child in file.read_text().split()]


def _runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
def test_a_killed_command_goes_on(folder, tmp_path):
    def start(name, **kwargs):
        flags = {"steps": 6, "batch_size": 2, "crop": 64, "resize": 72, "warmup_steps": 2}
        flags |= {"checkpoint_every": 2, "data": folder, "output": tmp_path / name}
        texts = [text for key, value in flags.items() for text in (f"--{key}", str(value))]
        return subprocess.Popen([sys.executable, "-m", "model.train", *texts], cwd=ROOT, **kwargs)

    assert start("whole").wait() == 0
    killed = start("parts")
    checkpoint = tmp_path / "parts" / "checkpoint.npz"
    while not checkpoint.exists() and killed.poll() is None:
        time.sleep(0.01)
    workers = _children(killed.pid)
    os.kill(killed.pid, signal.SIGKILL)
    assert killed.wait() != 0
    assert workers or sys.platform != "linux"
    ends = time.monotonic() + 30
    while any(map(_runs, workers)) and time.monotonic() < ends:
        time.sleep(0.1)
    assert not [pid for pid in workers if _runs(pid)]
    with np.load(checkpoint) as arrays:
        assert 2 <= len(arrays["losses"]) < 6
    assert start("parts").wait() == 0
    with np.load(checkpoint) as parts, np.load(tmp_path / "whole" / "checkpoint.npz") as whole:
        np.testing.assert_allclose(parts["losses"], whole["losses"], rtol=1e-4)
