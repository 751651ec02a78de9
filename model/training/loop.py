"""The training loop. An interrupted run continues from its last checkpoint with the same result."""

from __future__ import annotations

import contextlib
import hashlib
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import numpy as np

from model.training.batches import batches
from model.training.calibration import finished
from model.training.checkpoint import Log, restore, save_checkpoint, save_float16
from model.training.config import TrainConfig
from model.training.fused_normalization import with_fused_normalization
from model.training.losses import HybridLoss
from model.training.optimizer import TwoRateAdamW
from model.training.pairs import Pair, load_pair, load_whole, name_hash
from model.training.validation import evaluate

VALIDATION_IMAGES = 256
CALIBRATION_IMAGES = 256
CHECKPOINT = "checkpoint.npz"
LOG = "log.jsonl"
WEIGHTS = "final.weights.h5"
# Settings that may change when a run continues. A change of any other makes it a different run.
FREE = ("steps", "learning_rate", "warmup_steps", "checkpoint_every", "validate_every", "minutes")


@dataclass(frozen=True)
class _Run:
    """What stays the same from step to step.

    Attributes:
        network: The compiled network.
        config: The settings.
        identity: What must be the same when the run continues.
        output: Folder of the files.
        held_out: Images and masks to validate with; may be empty.
        calibration: Batches of photos for ``calibrate``.
    """

    network: keras.Model
    config: TrainConfig
    identity: dict[str, object]
    output: Path
    held_out: list[tuple[np.ndarray, np.ndarray]]
    calibration: list[np.ndarray]


def train(
    model: keras.Model,
    pairs: Sequence[Pair],
    config: TrainConfig,
    output: Path,
    *,
    encoder: Sequence[keras.Layer] = (),
    validation: Sequence[Pair] = (),
    validation_size: int | None = None,
) -> list[float]:
    """Trains a model; continues from the checkpoint in ``output`` if there is one.

    Processes that import the caller's script make the batches, so the script has to call this below
    ``if __name__ == "__main__":``.

    Args:
        model: A BASNet for pixels in [0, 255]. Training starts from its weights and leaves the
            trained ones in it. Layers that are not trainable keep theirs.
        pairs: The pairs to train on.
        config: The settings.
        output: Folder for ``checkpoint.npz``, ``log.jsonl`` and ``final.weights.h5``.
        encoder: Layers of the model that learn at ``config.encoder_rate`` times the learning rate.
        validation: Held-out pairs. At most 256 are used, chosen by a hash of their names.
        validation_size: Side in pixels of the squares that photos are resized to for validation
            and calibration, a multiple of 32. None: that of a crop.

    Returns:
        The loss of every step since step 0, those before the checkpoint included.

    Raises:
        ValueError: The checkpoint is of another run, an image cannot be read, the validation size
            is not a multiple of 32, or ``config.encoder_rate`` is below 1 without an encoder.
        OSError: A file cannot be written, or a process that makes batches was killed.
    """
    size = config.crop if validation_size is None else validation_size
    if size < 32 or size % 32:
        raise ValueError(f"validation_size must be a positive multiple of 32, got {size}")
    if config.encoder_rate < 1 and not encoder:
        raise ValueError(f"encoder_rate is {config.encoder_rate}, but there is no encoder")
    output.mkdir(parents=True, exist_ok=True)
    identity = _identity(model, pairs, config, size)
    chosen = sorted(validation, key=lambda pair: name_hash(pair.name))[:VALIDATION_IMAGES]
    held_out = [load_pair(pair, size) for pair in chosen]
    photos = load_whole(pairs, CALIBRATION_IMAGES, size, config.seed)
    calibration = np.array_split(photos, -(-len(photos) // config.batch_size))

    network = with_fused_normalization(model)
    _compile(network, config, encoder)
    run = _Run(network, config, identity, output, held_out, calibration)
    losses = restore(network, output / CHECKPOINT, identity)
    print(f"{len(pairs)} pairs to train on, {len(held_out)} held out; from step {len(losses)}")
    _take_steps(run, pairs, losses)

    with finished(network, calibration):
        kept = {layer.name: layer.get_weights() for layer in network.layers if layer.weights}
    for name, weights in kept.items():
        model.get_layer(name).set_weights(weights)
    save_float16(model, output / WEIGHTS)
    return losses


def _identity(
    model: keras.Model, pairs: Sequence[Pair], config: TrainConfig, size: int
) -> dict[str, object]:
    """Returns what tells one run from another: settings, data and the weights at the start."""
    names = "\n".join(
        f"{pair.name} {pair.weight}{' map' * (pair.map is not None)}" for pair in pairs
    )
    start = hashlib.sha256()
    for weight in model.weights:
        start.update(keras.ops.convert_to_numpy(weight).astype("float32").tobytes())
    return {
        **{key: value for key, value in asdict(config).items() if key not in FREE},
        "pairs": hashlib.sha256(names.encode()).hexdigest()[:8],
        "start": start.hexdigest()[:8],
        "precision": keras.config.dtype_policy().name,
        "validation_size": size,
        "trained": f"{len(model.trainable_variables)} of {len(model.variables)} weights",
    }


def _compile(network: keras.Model, config: TrainConfig, encoder: Sequence[keras.Layer]) -> None:
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0,
        max(1, config.steps - config.warmup_steps),
        warmup_target=config.learning_rate,
        warmup_steps=config.warmup_steps,
    )
    average = {"use_ema": True, "ema_momentum": config.ema} if config.ema else {}
    names = [layer.name for layer in encoder if layer.weights]
    slow = [v for name in names for v in network.get_layer(name).trainable_variables]
    if slow and config.encoder_rate < 1:
        optimizer = TwoRateAdamW(schedule, slow, config.encoder_rate, **average)
    else:
        # On PyTorch, Keras has a faster AdamW, which a subclass would not get.
        optimizer = keras.optimizers.AdamW(schedule, **average)
    network.compile(
        optimizer=optimizer,
        # The paper sums the losses of all eight outputs. Here the two finest count twice.
        loss=[HybridLoss(config.ssim) for _ in network.outputs],
        loss_weights=[2.0 if i < 2 else 1.0 for i in range(len(network.outputs))],
        # On CPUs XLA takes longer than TensorFlow's own kernels; JAX has nothing else.
        jit_compile=keras.backend.backend() == "jax",
    )
    network.optimizer.build(network.trainable_variables)


def _take_steps(run: _Run, pairs: Sequence[Pair], losses: list[float]) -> None:
    """Trains from step ``len(losses)`` on and appends the loss of every step."""
    config, network, first = run.config, run.network, len(losses)
    predictor = keras.Model(network.input, network.outputs[0])
    log = Log(run.output / LOG, first)
    bar = keras.utils.Progbar(
        config.steps - first,
        interval=1 if sys.stdout.isatty() else 30,
        stateful_metrics=["loss", "lr", "images/s"],
    )
    began = time.monotonic()
    stream = batches(
        pairs,
        range(first, config.steps),
        batch_size=config.batch_size,
        resize=config.resize,
        crop=config.crop,
        seed=config.seed,
    )
    with contextlib.closing(stream):
        for step, (images, masks) in enumerate(stream, start=first + 1):
            losses.append(_train_on_batch(network, images, masks))
            elapsed = time.monotonic() - began
            state = {
                "loss": float(np.mean(losses[-50:])),
                "lr": float(network.optimizer.learning_rate),
                "images/s": (step - first) * config.batch_size / elapsed,
            }
            bar.update(step - first, list(state.items()))
            last = step == config.steps or (config.minutes and elapsed > 60 * config.minutes)
            # Validation precedes the checkpoint: a run that is killed between the two repeats the
            # step and logs it again.
            if run.held_out and (step % config.validate_every == 0 or last):
                with finished(network, run.calibration):
                    scores = evaluate(predictor, run.held_out, config.batch_size)
                log.write({"step": step, **state, "seconds": elapsed, **scores})
            if step % config.checkpoint_every == 0 or last:
                save_checkpoint(network, run.output / CHECKPOINT, run.identity, losses)
            if last:
                break


def _train_on_batch(network: keras.Model, images: np.ndarray, masks: np.ndarray) -> float:
    network.reset_metrics()
    # One tensor for all outputs, so that it is copied to the device once.
    truth = keras.ops.cast(keras.ops.convert_to_tensor(masks), "float32") / 255
    truths = [truth] * len(network.outputs)
    return float(network.train_on_batch(images, truths, return_dict=True)["loss"])
