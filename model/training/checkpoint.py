"""The files of a training run: its log, its checkpoint and its final weights."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import h5py
import keras
import numpy as np

from model.whole_files import replacing


def save_checkpoint(
    model: keras.Model, path: Path, identity: dict[str, object], losses: Sequence[float]
) -> None:
    """Writes all that a run needs to continue, whole or not at all.

    The order of the data needs no state: seed and step decide every batch.

    Args:
        model: The compiled model. The variables of its trainable layers, random seeds included,
            and of its optimizer are written; others never change.
        path: The checkpoint, a ``.npz`` file.
        identity: What must be the same in a run that continues from it, JSON-ready.
        losses: Loss of every step so far.

    Raises:
        OSError: The file cannot be written.
    """
    arrays = {f"variable_{i}": keras.ops.convert_to_numpy(v) for i, v in enumerate(_state(model))}
    arrays["identity"] = np.array(json.dumps(identity))
    arrays["losses"] = np.array(losses, "float64")
    with replacing(path) as temporary:
        np.savez(temporary, **arrays)


def restore(model: keras.Model, path: Path, identity: dict[str, object]) -> list[float]:
    """Loads a checkpoint into a compiled model, if there is one.

    Args:
        model: The compiled model, its optimizer built.
        path: The checkpoint.
        identity: What must be the same in both runs.

    Returns:
        The loss of every step so far; empty without a checkpoint.

    Raises:
        ValueError: The checkpoint is of a run with another identity or with other variables. The
            model is unchanged.
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
                "start again in an empty folder"
            )
        for variable, value in zip(state, values, strict=True):
            variable.assign(value)
        return arrays["losses"].tolist()


def save_float16(model: keras.Model, path: Path) -> None:
    """Writes weights at half their size, for ``model.load_weights`` to read.

    Kernels are rounded to float16. Vectors (biases, moments of batch normalisation) stay float32:
    they take little space, and a variance can exceed the range of float16. The state of the
    optimizer is left out.

    Args:
        model: Any built model.
        path: The file to write; its name ends in ``.weights.h5``.

    Raises:
        OSError: The file cannot be written.
    """

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

    with tempfile.TemporaryDirectory(dir=path.parent) as folder, replacing(path) as temporary:
        full = Path(folder) / path.name
        model.save_weights(full)
        with h5py.File(full, "r") as source, h5py.File(temporary, "w") as target:
            copy(source["layers"], target.create_group("layers"))


class Log:
    """A file of JSON lines, one for each validation.

    Lines after the step that a run continues from are dropped, since the run writes them again.

    Args:
        path: The file; it need not exist.
        first: The step that the run continues from.
    """

    def __init__(self, path: Path, first: int) -> None:
        self.path = path
        # A full disk may have cut the last line short; only whole lines are kept.
        old = path.read_text().rpartition("\n")[0].splitlines() if path.exists() else []
        kept = [line for line in old if json.loads(line)["step"] <= first]
        with replacing(path) as temporary:
            temporary.write_text("".join(f"{line}\n" for line in kept))

    def write(self, row: dict[str, float]) -> None:
        """Prints a line and appends it to the file.

        Args:
            row: The values by name; rounded to six digits after the point.
        """
        line = json.dumps({k: round(v, 6) for k, v in row.items()})
        print(f"\n{line}", flush=True)
        with self.path.open("a") as file:
            file.write(line + "\n")


def _state(model: keras.Model) -> list[keras.Variable]:
    learning = [layer for layer in model.layers if layer.trainable]
    return [*(v for layer in learning for v in layer.variables), *model.optimizer.variables]
