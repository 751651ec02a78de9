"""Trains a BASNet on pairs of images and masks, going on from the last checkpoint.

A run that was interrupted goes on as if it had never stopped.
"""

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

from model.training.calibration import finished
from model.training.checkpoint import Log, restore, save_checkpoint, save_float16
from model.training.data import Pair, batches, load_pair, load_whole, name_hash
from model.training.fused_normalization import with_fused_normalization
from model.training.losses import HybridLoss
from model.training.optimizer import TwoRateAdamW
from model.training.validation import evaluate

VALIDATION_IMAGES = 256
CALIBRATION_IMAGES = 256
CHECKPOINT = "checkpoint.npz"
LOG = "log.jsonl"
WEIGHTS = "final.weights.h5"
# What may change when a run goes on: the rest would make it another run.
FREE = ("steps", "learning_rate", "warmup_steps", "checkpoint_every", "validate_every", "minutes")


@dataclass(frozen=True)
class TrainConfig:
    """How to train; the defaults are those of the command.

    Attributes:
        steps: number of batches, the horizon of the cosine.
        batch_size: crops in a batch.
        crop: side of the crops in pixels, a multiple of 32.
        resize: largest side of the squares that images are resized to and crops are taken from.
        learning_rate: highest learning rate.
        encoder_rate: the encoder's share of the learning rate, in [0, 1]; below 1 it has no weight
            decay.
        warmup_steps: steps until it is reached.
        ssim: weight of SSIM in the loss.
        ema: momentum of the moving average of the weights that is kept at the end; 0 for none.
        seed: decides the order of the data, and every crop and jitter.
        validate_every: steps between validations.
        checkpoint_every: steps between checkpoints.
        minutes: stop after the step in which so many minutes have passed, None for never.
    """

    steps: int = 20_000
    batch_size: int = 16
    crop: int = 192
    resize: int = 256
    learning_rate: float = 2e-3
    encoder_rate: float = 1.0
    warmup_steps: int = 200
    ssim: float = 1.0
    ema: float = 0.0
    seed: int = 0
    validate_every: int = 200
    checkpoint_every: int = 100
    minutes: float | None = None

    def __post_init__(self) -> None:
        """Raises a ValueError for values that cannot work."""
        for name in ("steps", "batch_size", "validate_every", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.crop % 32 or not 32 <= self.crop <= self.resize:
            raise ValueError(
                f"crop must be a multiple of 32 that is at most resize ({self.resize}), "
                f"got {self.crop}"
            )
        if not 0 <= self.encoder_rate <= 1:
            raise ValueError(f"encoder_rate must be in [0, 1], got {self.encoder_rate}")
        if not 0 <= self.ema < 1:
            raise ValueError(f"ema must be in [0, 1), got {self.ema}")


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
    """Trains a model, going on from the checkpoint in `output` if there is one.

    Batches are made by processes that import the caller's script: it has to call this below
    `if __name__ == "__main__":`.

    Args:
        model: a BASNet for pixels in [0, 255], whose weights are those to start from; it ends with
            the trained ones. Layers that are not trainable stay as they are.
        pairs: the pairs to train on.
        config: how to train.
        output: folder for `checkpoint.npz`, `log.jsonl` and `final.weights.h5`.
        encoder: those of its layers whose learning rate is `config.encoder_rate` of the others'.
        validation: held-out pairs; at most 256 are used, drawn by their names.
        validation_size: side of the squares that photos are shown as after training, when they
            are held out or normalisation is calibrated; None for that of a crop.

    Returns:
        The loss of every step since step 0, also of those before the checkpoint.

    Raises:
        ValueError: if the checkpoint is of another run, an image cannot be read, the size of a
            validation is no multiple of 32, or there is no encoder for a rate of its own.
        OSError: if nothing can be written, or a process that makes batches was killed.
    """
    size = config.crop if validation_size is None else validation_size
    if size < 32 or size % 32:
        raise ValueError(f"validation_size must be a positive multiple of 32, got {size}")
    if config.encoder_rate < 1 and not encoder:
        raise ValueError(f"encoder_rate is {config.encoder_rate}, but there is no encoder")
    output.mkdir(parents=True, exist_ok=True)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0,
        max(1, config.steps - config.warmup_steps),
        warmup_target=config.learning_rate,
        warmup_steps=config.warmup_steps,
    )
    average = {"use_ema": True, "ema_momentum": config.ema} if config.ema else {}
    identity = {k: v for k, v in asdict(config).items() if k not in FREE}
    identity |= {"pairs": _digest(pairs), "start": _weights_digest(model)}
    identity |= {"precision": keras.config.dtype_policy().name, "validation_size": size}
    identity |= {"trained": f"{len(model.trainable_variables)} of {len(model.variables)} weights"}
    chosen = sorted(validation, key=lambda pair: name_hash(pair.name))[:VALIDATION_IMAGES]
    held_out = [load_pair(pair, size) for pair in chosen]
    photos = load_whole(pairs, CALIBRATION_IMAGES, size, config.seed)
    familiar = np.array_split(photos, -(-len(photos) // config.batch_size))

    network = with_fused_normalization(model)
    predictor = keras.Model(network.input, network.outputs[0])
    # The paper sums all eight; the two finest, doubled, are those that are looked at.
    criteria = [HybridLoss(config.ssim) for _ in network.outputs]
    criteria_weights = [2.0 if i < 2 else 1.0 for i in range(len(network.outputs))]
    names = [layer.name for layer in encoder if layer.weights]
    learning = [v for name in names for v in network.get_layer(name).trainable_variables]
    if learning and config.encoder_rate < 1:
        optimizer = TwoRateAdamW(schedule, learning, config.encoder_rate, **average)
    else:
        # Keras has an implementation of its own for PyTorch, which subclasses do not get.
        optimizer = keras.optimizers.AdamW(schedule, **average)
    network.compile(
        optimizer=optimizer,
        loss=criteria,
        loss_weights=criteria_weights,
        # On CPUs XLA takes longer than TensorFlow's own kernels; JAX has nothing else.
        jit_compile=keras.backend.backend() == "jax",
    )
    network.optimizer.build(network.trainable_variables)
    losses = restore(network, output / CHECKPOINT, identity)
    first = len(losses)
    log = Log(output / LOG, first)

    print(f"{len(pairs)} pairs to train on, {len(held_out)} held out; from step {first}")
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
            network.reset_metrics()
            # Brought to the device once, for all outputs.
            truth = keras.ops.cast(keras.ops.convert_to_tensor(masks), "float32") / 255
            truths = [truth] * len(network.outputs)
            losses.append(float(network.train_on_batch(images, truths, return_dict=True)["loss"]))
            elapsed = time.monotonic() - began
            state = {
                "loss": float(np.mean(losses[-50:])),
                "lr": float(network.optimizer.learning_rate),
                "images/s": (step - first) * config.batch_size / elapsed,
            }
            bar.update(step - first, list(state.items()))
            last = step == config.steps or (config.minutes and elapsed > 60 * config.minutes)
            # Before the checkpoint, so that a run killed in between writes its line again.
            if held_out and (step % config.validate_every == 0 or last):
                with finished(network, familiar):
                    scores = evaluate(predictor, held_out, config.batch_size)
                log.write({"step": step, **state, "seconds": elapsed, **scores})
            if step % config.checkpoint_every == 0 or last:
                save_checkpoint(network, output / CHECKPOINT, identity, losses)
            if last:
                break
    with finished(network, familiar):
        kept = {layer.name: layer.get_weights() for layer in network.layers if layer.weights}
    for name, weights in kept.items():
        model.get_layer(name).set_weights(weights)
    save_float16(model, output / WEIGHTS)
    return losses


def _digest(pairs: Sequence[Pair]) -> str:
    """Eight hex digits that tell one list of pairs and weights from another."""
    text = "\n".join(f"{pair.name} {pair.weight}" for pair in pairs)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _weights_digest(model: keras.Model) -> str:
    """Eight hex digits that tell the weights that one run starts from from those of another."""
    digest = hashlib.sha256()
    for weight in model.weights:
        digest.update(keras.ops.convert_to_numpy(weight).astype("float32").tobytes())
    return digest.hexdigest()[:8]
