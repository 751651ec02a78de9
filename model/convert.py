"""Converts published weights to a `.keras` file for the pipeline: `python -m model.convert --help`.

Of a preset it writes the list of layers with which OpenVINO runs the network without Keras.

The file holds a functional model of plain Keras layers, so Keras alone can load it. The model maps
RGB pixels in [0, 255], float (N, H, W, 3), H and W multiples of 32, to BASNet's 8 maps, refined
first, (N, H, W, 1) in [0, 1]. Its first layer scales pixels as in the training of the weights:

- The authors divided each resized photo by its own maximum. The layer divides by 255, which is the
  same if a channel of the photo reaches 255. Both then subtract ImageNet's mean and divide by its
  deviation (for files of one channel, the authors take those of red for all three).
- KerasCV has no trained BASNet. Its example (keras.io, "Highly accurate boundaries segmentation
  using BASNet") divides by 255, as ``include_rescaling=True`` does. So does the layer.
- KerasHub's presets have an image converter, whose scale and offset are kept; its size is not,
  since the pipeline resizes. Without a converter the layer divides by 255: ``basnet_duts``, by the
  author of KerasCV's example, has none.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from model.inference.layer_list import layer_list
from model.networks.basnet import BASNet
from model.published.assign import from_keras_cv, from_keras_hub, from_paper, keras_cv_classes
from model.published.read import read_keras_cv, read_keras_hub, read_paper
from model.whole_files import replacing

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)
LAYERS_SUFFIX = ".layers.json"


def convert(source: str, destination: Path) -> keras.Model:
    """Converts published weights and writes the network.

    Args:
        source: A ``.pth`` file of the authors, a ``.weights.h5`` or ``.keras`` file of KerasCV, or
            a KerasHub preset: a folder or a name.
        destination: The new file; its name ends in ``.keras``.

    Returns:
        The network that was written; for its inputs and outputs see the module.

    Raises:
        ValueError: The source is none of these, is damaged or does not fit, or the destination
            exists or has another suffix. Nothing was written.
        OSError: The source cannot be read or the destination cannot be written. No partial file is
            left.
    """
    if destination.suffix != ".keras":
        raise ValueError(f"the destination must end in .keras; got {destination}")
    if destination.exists():
        raise ValueError(f"{destination} exists")
    if not destination.absolute().parent.is_dir():
        raise ValueError(f"there is no folder {destination.absolute().parent}")
    model = load(source)
    with replacing(destination) as temporary:
        model.save(temporary)
    return model


def load(source: str) -> keras.Model:
    """Builds the network of published weights; see ``convert``.

    Args:
        source: As ``convert`` takes it.

    Returns:
        The network that ``convert`` writes.

    Raises:
        ValueError: The source is none of these, is damaged or does not fit.
        OSError: The source cannot be read.
    """
    path = Path(source)
    scale, offset = 1 / 255, 0.0
    if path.is_file() and path.suffix in (".pth", ".pt"):
        network = from_paper(read_paper(path), include_rescaling=True)
        mean, deviation = np.array(IMAGENET_MEAN), np.array(IMAGENET_DEVIATION)
        scale, offset = (1 / 255 / deviation).tolist(), (-mean / deviation).tolist()
    elif path.is_file() and path.suffix in (".h5", ".keras"):
        weights = read_keras_cv(path)
        _check_classes(source, keras_cv_classes(weights))
        network = from_keras_cv(weights, include_rescaling=True)
    elif path.is_file():
        raise ValueError(f"{source} is none of .pth, .weights.h5 and .keras")
    elif path.is_dir() and not (path / "config.json").is_file():
        raise ValueError(f"{source} is a folder without a KerasHub preset: it has no config.json")
    elif not path.is_dir() and (path.suffix or os.sep in source) and "://" not in source:
        raise ValueError(f"there is no file or folder {source}")
    else:
        backbone, scale, offset = read_keras_hub(source)
        _check_classes(source, backbone.num_classes)
        network = from_keras_hub(backbone, include_rescaling=True)
    return _plain(network, scale, offset)


def write_layers(preset: str, destination: Path) -> int:
    """Writes the list of a network's layers, for ``model.inference.openvino_graph``.

    Args:
        preset: A preset with weights.
        destination: The file, which is replaced; its name ends in ``.layers.json``.

    Returns:
        How many layers there are.

    Raises:
        ValueError: The preset has no weights, or OpenVINO's graph of one of its layers is not made.
        OSError: The file cannot be written.
    """
    if preset not in BASNet.presets_with_weights:
        raise ValueError(f"{preset!r} is no preset with weights; {destination.name} is of one")
    layers = layer_list(BASNet.from_preset(preset, load_weights=False))
    lines = ",\n".join(json.dumps(layer) for layer in layers)
    with replacing(destination) as temporary:
        temporary.write_text(f"[\n{lines}\n]\n")
    return len(layers)


def _check_classes(source: str, classes: int) -> None:
    if classes != 1:
        raise ValueError(f"{source} has {classes} classes; the pipeline needs a network with one")


def _plain(network: BASNet, scale: float | list, offset: float | list) -> keras.Model:
    """Makes a functional model of a network, with another scale and offset of pixels."""
    (rescaling,) = (x for x in network.layers if isinstance(x, keras.layers.Rescaling))
    rescaling.scale, rescaling.offset = scale, offset
    return keras.Model(network.input, network.outputs, name="basnet")


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; see `--help`.

    Args:
        argv: Its arguments; None for those of the process.
    """
    parser = argparse.ArgumentParser(
        prog="python -m model.convert",
        description="Converts published weights of BASNet to a .keras file for "
        "run_pipeline.py --model. The network in it takes pixels from 0 to 255.",
    )
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="the authors' basnet.pth, a .weights.h5 or .keras file of KerasCV, or a KerasHub "
        "preset: a folder, or a name to download, such as basnet_duts; or a preset with weights",
    )
    parser.add_argument(
        "destination",
        metavar="DESTINATION",
        type=Path,
        help="a new .keras file; of a preset, a .layers.json file, the list of its layers",
    )
    flags = parser.parse_args(argv)
    try:
        if flags.destination.name.endswith(LAYERS_SUFFIX):
            count = write_layers(flags.source, flags.destination)
            print(f"{flags.destination}: {count} layers")
            return
        model = convert(flags.source, flags.destination)
    except (ValueError, OSError) as error:
        # parser.error would print the usage first; this is one line.
        parser.exit(2, f"{parser.prog}: {' '.join(str(error).split())}\n")
    print(f"{flags.destination}: {model.count_params():,} parameters, pixels from 0 to 255")


if __name__ == "__main__":
    main()
