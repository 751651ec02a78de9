import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from PIL import Image, ImageDraw

from model import train as command
from model.calibration import calibrate
from model.checkpoint import save_float16
from model.data import (
    augment,
    batches,
    degrade,
    find_pairs,
    load_pair,
    make_batch,
    paste,
    split_pairs,
)
from model.fused import FusedBatchNormalization, copy_weights, with_fused_normalization
from model.train import TrainConfig, train
from model.validation import evaluate

# Keras' own conversion of TensorFlow variables to NumPy 2 arrays.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

ROOT = Path(__file__).parents[2]
SMALL = {"steps": 12, "batch_size": 2, "crop": 64, "resize": 72, "warmup_steps": 2}
SMALL |= {"learning_rate": 1e-2, "checkpoint_every": 3, "validate_every": 4}
DRAWING = {"batch_size": 2, "resize": 72, "crop": 64}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twelve images of bright discs on dark noise, with their masks."""
    folder = tmp_path_factory.mktemp("discs")
    rng = np.random.default_rng(0)
    for name in ("images", "masks"):
        (folder / name).mkdir()
    for number in range(12):
        size = (90, 70)
        x, y, r = rng.integers(25, 60), rng.integers(20, 50), rng.integers(10, 20)
        mask = Image.new("1", size)
        ImageDraw.Draw(mask).ellipse((x - r, y - r, x + r, y + r), fill=1)
        pixels = rng.integers(0, 90, (70, 90, 3)) + 140 * np.asarray(mask)[..., None]
        image = Image.fromarray(pixels.astype("uint8"))
        image.save(folder / "images" / f"disc{number}.jpg")
        mask.save(folder / "masks" / f"disc{number}.png")
    return folder


@pytest.fixture(scope="module")
def pairs(folder):
    return find_pairs(folder)


def _toy(**_):
    """One output, a few weights, but all kinds of state: kernels, moments, random seeds."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(8, 3, padding="same")(x)
    x = keras.layers.BatchNormalization(momentum=0.8)(x)
    x = keras.layers.Dropout(0.1, seed=5)(keras.layers.ReLU()(x))
    outputs = keras.layers.Conv2D(1, 3, padding="same", activation="sigmoid", dtype="float32")(x)
    return keras.Model(inputs, outputs)


def _rows(output):
    return [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]


def test_pairs(folder, pairs):
    assert len(pairs) == 12
    assert pairs[0].name == f"{folder.name}/disc0"
    image, mask = load_pair(pairs[0], 40)
    assert (image.dtype, image.shape) == ("uint8", (40, 40, 3))
    assert (mask.dtype, mask.shape) == ("uint8", (40, 40))
    assert mask.min() == 0
    assert mask.max() == 255


def test_the_split_depends_on_names_alone(pairs):
    training, held_out = split_pairs(pairs, 0.3)
    assert len(training) + len(held_out) == 12
    assert held_out
    fewer = split_pairs(pairs[::2], 0.3)[1]
    assert fewer == [pair for pair in pairs[::2] if pair in held_out]
    assert split_pairs(pairs, 0.0)[1] == []


def test_crops_keep_image_and_mask_together():
    image = np.zeros((40, 40, 3), "uint8")
    image[5:20, 10:30] = 200
    mask = np.where(image[..., 0] > 0, 255, 0).astype("uint8")
    for seed in range(8):
        pixels, truth = augment(image, mask, 32, np.random.default_rng(seed))
        assert (pixels.dtype, truth.dtype) == ("uint8", "uint8")
        assert (pixels.shape, truth.shape) == ((32, 32, 3), (32, 32))
        gray = pixels.mean(axis=-1)
        assert gray.min() < gray.max()
        np.testing.assert_array_equal(gray > (gray.min() + gray.max()) / 2, truth == 255)


def test_pasting_keeps_both_objects():
    rng = np.random.default_rng(0)
    image, other = rng.integers(0, 256, (2, 9, 7, 3), "uint8")
    mask, other_mask = rng.integers(0, 256, (2, 9, 7), "uint8")
    mask[:5], other_mask[:, :4] = 255, 0
    pixels, both = paste(image, mask, other, other_mask)
    for y, x in np.ndindex(9, 7):
        share = mask[y, x] / 255
        mixed = share * image[y, x] + (1 - share) * other[y, x]
        np.testing.assert_allclose(pixels[y, x], mixed, atol=0.51)
        assert both[y, x] == max(mask[y, x], other_mask[y, x])


def test_bad_photos_are_still_the_same_photos():
    x, y = np.meshgrid(np.arange(48), np.arange(48))
    photo = np.stack([x * 5, y * 5, 240 - x * 5], axis=-1).astype("uint8")
    photo[16:32, 16:32] = 255
    unlike = []
    for seed in range(60):
        bad = degrade(photo, np.random.default_rng(seed))
        assert (bad.dtype, bad.shape) == (photo.dtype, photo.shape)
        unlike.append(np.abs(bad.astype(int) - photo).mean())
    # Neither blurred nor compressed: 0.8 x 0.6 of them.
    assert 15 <= unlike.count(0) <= 42
    assert 1 < max(unlike) < 16


def test_crops_come_at_all_scales(folder, monkeypatch):
    sides = []
    black = np.zeros((72, 72, 3), "uint8")

    def load(pair, side):
        sides.append(side)
        return black[:side, :side], black[:side, :side, 0]

    monkeypatch.setattr("model.data.load_pair", load)
    make_batch(find_pairs(folder), seed=0, step=0, batch_size=300, resize=72, crop=64)
    assert set(sides) == set(range(64, 73))
    # One in ten is pasted on another.
    assert 310 <= len(sides) <= 355


def test_batches_are_a_function_of_seed_and_step(pairs):
    whole = list(batches(pairs, range(9), seed=1, **DRAWING))
    rest = list(batches(pairs, range(6, 9), seed=1, **DRAWING))
    for (images, masks), (others, other_masks) in zip(whole[6:], rest, strict=True):
        np.testing.assert_array_equal(images, others)
        np.testing.assert_array_equal(masks, other_masks)
    other_seed, _ = make_batch(pairs, seed=2, step=6, **DRAWING)
    assert (other_seed != rest[0][0]).any()
    assert (whole[0][0] != whole[1][0]).any()


def test_weights_say_how_often_pairs_are_drawn(folder, monkeypatch):
    drawn = []
    black = np.zeros((72, 72, 3), "uint8")

    def load(pair, side):
        drawn.append(pair.weight)
        return black[:side, :side], black[:side, :side, 0]

    monkeypatch.setattr("model.data.load_pair", load)
    mixed = find_pairs(folder, 3.0) + find_pairs(folder, 1.0)
    make_batch(mixed, seed=0, step=0, batch_size=400, resize=72, crop=32)
    assert 0.68 < np.mean(np.array(drawn) == 3) < 0.82


def test_training_lowers_the_loss(pairs, tmp_path):
    model = _toy()
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


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(pairs, tmp_path, monkeypatch, ema):
    config = TrainConfig(**SMALL, ema=ema)
    model = _toy()
    whole = train(model, pairs, config, tmp_path / "whole", validation=pairs[:3])

    step = keras.Model.train_on_batch
    left = iter(range(8))

    def train_on_batch(*args, **kwargs):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return step(*args, **kwargs)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(keras.Model, "train_on_batch", train_on_batch)
        train(_toy(), pairs, config, tmp_path / "parts", validation=pairs[:3])
    assert not (tmp_path / "parts" / "final.weights.h5").exists()

    resumed = _toy()
    parts = train(resumed, pairs, config, tmp_path / "parts", validation=pairs[:3])
    np.testing.assert_allclose(parts, whole, atol=1e-5)
    for one, other in zip(model.weights, resumed.weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    kept = ("step", "loss", "lr", "mae", "max_f", "iou")
    for one, other in zip(_rows(tmp_path / "whole"), _rows(tmp_path / "parts"), strict=True):
        np.testing.assert_allclose([one[k] for k in kept], [other[k] for k in kept], atol=1e-5)


def test_a_finished_run_is_left_as_it_is(pairs, tmp_path):
    config = TrainConfig(**{**SMALL, "steps": 3})
    losses = train(_toy(), pairs, config, tmp_path)
    assert train(_toy(), pairs, config, tmp_path) == losses


def test_minutes_stop_a_run_that_can_go_on(pairs, tmp_path):
    losses = train(_toy(), pairs, TrainConfig(**SMALL, minutes=1e-6), tmp_path)
    assert len(losses) == 1
    assert (tmp_path / "final.weights.h5").exists()
    assert len(train(_toy(), pairs, TrainConfig(**SMALL), tmp_path)) == 12


def test_averages_are_scored_and_kept_and_training_goes_on_without_them(pairs, tmp_path):
    """A momentum of almost 1 keeps the average where it began, while the weights move."""
    model, start = _toy(), _toy()
    config = TrainConfig(**{**SMALL, "steps": 20}, ema=0.999999)
    losses = train(model, pairs, config, tmp_path / "average", validation=pairs[:3])
    assert np.ptp([row["iou"] for row in _rows(tmp_path / "average")]) < 1e-3
    for one, other in zip(model.trainable_weights, start.trainable_weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)
    plain = train(_toy(), pairs, TrainConfig(**{**SMALL, "steps": 20}), tmp_path / "plain")
    np.testing.assert_allclose(losses, plain, rtol=1e-4)


def test_calibration_averages_the_moments_of_batches():
    rng = np.random.default_rng(0)
    batches = [rng.integers(0, 256, (3, 16, 16, 3), "uint8") for _ in range(4)]
    model = _toy()
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


def test_fused_normalization_trains_as_keras_does():
    batch = np.random.default_rng(0).uniform(0, 255, (6, 32, 32, 3)).astype("float32")
    target = (batch[..., :1] > 128).astype("float32")
    plain, original = _toy(), _toy()
    fused = with_fused_normalization(original)
    kinds = [type(layer) for layer in fused.layers]
    assert kinds.count(FusedBatchNormalization) == 1
    np.testing.assert_array_equal(fused(batch), plain(batch))
    for model in (plain, fused):
        model.compile(keras.optimizers.SGD(0.05), "mse")
    for _ in range(4):
        losses = [model.train_on_batch(batch, target) for model in (plain, fused)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for one, other in zip(plain.weights, fused.weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)
    copy_weights(fused, original)
    np.testing.assert_array_equal(original(batch), fused(batch))


@pytest.mark.parametrize("change", [{"seed": 1}, {"crop": 32}, {"pairs": 11}])
def test_a_checkpoint_of_another_run_is_refused(pairs, tmp_path, change):
    small = {**SMALL, "steps": 1}
    train(_toy(), pairs, TrainConfig(**small), tmp_path)
    pairs = pairs[: change.pop("pairs", 12)]
    with pytest.raises(ValueError, match=r"checkpoint\.npz is of another run: \w+ is .+, was "):
        train(_toy(), pairs, TrainConfig(**{**small, **change}), tmp_path)


def test_float16_weights_come_back(tmp_path):
    model, again = _toy(), _toy()
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


def test_the_command(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command.BASNet, "from_preset", lambda preset, load_weights: _toy())
    flags = ["--output", str(tmp_path / "run"), "--validation_fraction", "0.3"]
    flags += [text for name, value in SMALL.items() for text in (f"--{name}", str(value))]
    start = tmp_path / "start.weights.h5"
    save_float16(_toy(), start)
    flags += ["--weights", str(start), "--validation_size", "96"]
    policy = keras.config.dtype_policy()
    try:
        command.main(["--data", f"{folder}=2", str(folder), *flags])
    finally:
        keras.config.set_dtype_policy(policy)
    assert (tmp_path / "run" / "final.weights.h5").exists()
    assert "held out; from step 0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("nowhere", "there is no folder nowhere"),
        ("FOLDER=heavy", "is not a number"),
        ("FOLDER=0", "must be positive, got 0.0"),
    ],
)
def test_wrong_usage(folder, tmp_path, capsys, data, message):
    data = data.replace("FOLDER", str(folder))
    with pytest.raises(SystemExit) as status:
        command.main(["--data", data, "--output", str(tmp_path)])
    assert status.value.code == 2
    assert message in capsys.readouterr().err


def test_wrong_folders_and_files_are_named(tmp_path):
    (tmp_path / "masks").mkdir()
    with pytest.raises(ValueError, match="there is no folder .*images"):
        find_pairs(tmp_path)
    (tmp_path / "images").mkdir()
    with pytest.raises(ValueError, match="no images in .*images"):
        find_pairs(tmp_path)
    Image.new("RGB", (20, 10)).save(tmp_path / "images" / "one.png")
    with pytest.raises(ValueError, match=r"one\.png has no mask .*one\.png"):
        find_pairs(tmp_path)
    Image.new("1", (10, 20)).save(tmp_path / "masks" / "one.png")
    with pytest.raises(ValueError, match=r"one\.png has 20 x 10 pixels, its mask .* has 10 x 20"):
        load_pair(find_pairs(tmp_path)[0], 32)
    (tmp_path / "images" / "one.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"cannot read .*one\.png"):
        load_pair(find_pairs(tmp_path)[0], 32)


@pytest.mark.parametrize(
    "wrong", [{"steps": 0}, {"crop": 100}, {"crop": 288}, {"ema": 1.0}, {"checkpoint_every": 0}]
)
def test_wrong_configurations(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        TrainConfig(**wrong)


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
    os.kill(killed.pid, signal.SIGKILL)
    assert killed.wait() != 0
    with np.load(checkpoint) as arrays:
        assert 2 <= len(arrays["losses"]) < 6
    assert start("parts").wait() == 0
    with np.load(checkpoint) as parts, np.load(tmp_path / "whole" / "checkpoint.npz") as whole:
        np.testing.assert_allclose(parts["losses"], whole["losses"], rtol=1e-4)
