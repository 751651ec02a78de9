"""What a training run leaves on disk: its log, checkpoints to go on from, and the final weights."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import h5py
import keras
import numpy as np


def save_checkpoint(
    model: keras.Model, path: Path, identity: dict[str, object], losses: Sequence[float]
) -> None:
    """Writes all that the run needs to go on, whole or not at all.

    The state of the data is the number of steps: with the seed it decides every batch.

    Args:
        model: the compiled model; the variables of its trainable layers (random seeds among
            them) and its optimizer's.
        path: the checkpoint.
        identity: what must be the same in a run that goes on from it.
        losses: loss of every step so far.
    """
    arrays = {f"variable_{i}": keras.ops.convert_to_numpy(v) for i, v in enumerate(_state(model))}
    arrays["identity"] = np.array(json.dumps(identity))
    arrays["losses"] = np.array(losses, "float64")
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        np.savez(file, **arrays)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def restore(model: keras.Model, path: Path, identity: dict[str, object]) -> list[float]:
    """Brings a compiled model to the state of a checkpoint, if there is one.

    Args:
        model: the compiled model, its optimizer built.
        path: the checkpoint.
        identity: what must be the same in both runs.

    Returns:
        The loss of every step so far; empty without a checkpoint.

    Raises:
        ValueError: if the checkpoint is of a run with another identity, or other variables.
    """
    if not path.exists():
        return []
    with np.load(path) as arrays:
        theirs = json.loads(str(arrays["identity"]))
        changed = [
            f"{key} is {identity.get(key)}, was {theirs.get(key)}"
            for key in sorted({*identity, *theirs})
            if identity.get(key) != theirs.get(key)
        ]
        if changed:
            raise ValueError(f"{path} is of another run: {'; '.join(changed)}")
        state = _state(model)
        values = [arrays[name] for name in arrays.files if name.startswith("variable_")]
        if [value.shape for value in values] != [tuple(variable.shape) for variable in state]:
            raise ValueError(
                f"{path} is of another network, or of another version of this program; "
                "start anew in an empty folder"
            )
        for variable, value in zip(state, values, strict=True):
            variable.assign(value)
        return arrays["losses"].tolist()


def save_float16(model: keras.Model, path: Path) -> None:
    """Writes weights that `model.load_weights` reads, at half their size.

    Kernels are rounded to float16. Vectors (biases, the moments of batch normalisation) stay in
    float32: they take no space, and variances can leave float16's range. The state of an optimizer,
    which Keras writes beside the weights of a compiled model, is left out.

    Args:
        model: any built model.
        path: ends in `.weights.h5`.
    """
    full = path.with_name("full." + path.name)
    half = path.with_name("half." + path.name)
    model.save_weights(full)

    def copy(source: h5py.Group, target: h5py.Group) -> None:
        target.attrs.update(source.attrs)
        for name, item in source.items():
            if isinstance(item, h5py.Group):
                copy(item, target.create_group(name))
            else:
                values = np.asarray(item)
                is_kernel = values.ndim > 1 and values.dtype == np.float32
                values = values.astype(np.float16) if is_kernel else values
                target.create_dataset(name, data=values).attrs.update(item.attrs)

    with h5py.File(full, "r") as source, h5py.File(half, "w") as target:
        copy(source["layers"], target.create_group("layers"))
    full.unlink()
    os.replace(half, path)


class Log:
    """Lines of JSON, less those of steps that a run which goes on will repeat.

    Args:
        path: the file.
        first: the step that the run goes on from.
    """

    def __init__(self, path: Path, first: int) -> None:
        self.path = path
        # Without a last line that a full disk cut short.
        old = path.read_text().rpartition("\n")[0].splitlines() if path.exists() else []
        kept = [line for line in old if json.loads(line)["step"] <= first]
        temporary = path.with_name(path.name + ".tmp")
        temporary.write_text("".join(f"{line}\n" for line in kept))
        os.replace(temporary, path)

    def write(self, row: dict[str, float]) -> None:
        """Prints one line and adds it to the file."""
        line = json.dumps({k: round(v, 6) for k, v in row.items()})
        print(f"\n{line}", flush=True)
        with self.path.open("a") as file:
            file.write(line + "\n")


def _state(model: keras.Model) -> list[keras.Variable]:
    # What is frozen never changes.
    learning = [layer for layer in model.layers if layer.trainable]
    return [*(v for layer in learning for v in layer.variables), *model.optimizer.variables]
