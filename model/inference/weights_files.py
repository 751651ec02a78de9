"""Weights files, and which preset's network each is for; read without Keras."""

from __future__ import annotations

from pathlib import Path

import h5py

from model.presets import PRESETS, WEIGHTS_SUFFIX, Preset

# Presets by how many numbers their weights files hold. Building each network to see which one fits
# would take many seconds.
_PRESET_OF = {
    4_741_128: "basnet_mini",
    87_104_904: "basnet_paper",
    98_780_872: "basnet_resnet18",
    108_896_456: "basnet_resnet34",
}


def listed_preset(name: str) -> Preset | None:
    """Returns the preset of a network that OpenVINO runs without Keras; None for another network.

    Args:
        name: A preset or a local file.

    Raises:
        OSError: The file is not readable as HDF5.
    """
    found: str | None = name
    if name.endswith(WEIGHTS_SUFFIX) and Path(name).is_file():
        found = preset_of(name)
    preset = PRESETS.get(found or "")
    return preset if preset and preset.layers else None


def preset_of(path: str | Path) -> str | None:
    """Returns the preset whose network has as many weights as a file, or None.

    Args:
        path: A ``.weights.h5`` file.

    Raises:
        OSError: The file is not readable as HDF5.
    """
    return _PRESET_OF.get(count_numbers(path))


def count_numbers(path: str | Path) -> int:
    """Counts the numbers in a weights file, except those of an optimizer.

    Args:
        path: A ``.weights.h5`` file.

    Raises:
        OSError: The file is not readable as HDF5.
    """
    sizes = [0]

    def add(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset) and not name.startswith("optimizer/"):
            sizes.append(item.size)

    with h5py.File(path) as file:
        file.visititems(add)
    return sum(sizes)
