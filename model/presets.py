"""The networks that have a name: configuration, weights and their terms of use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

WEIGHTS = Path(__file__).parent / "weights"

# Default side, in pixels, of the square that an image is resized to for the network.
IMAGE_SIZE = 256

# Suffixes of the files that networks are loaded from: a whole model, of Keras or of any library, or
# the weights of a preset.
MODEL_SUFFIX = ".keras"
ONNX_SUFFIX = ".onnx"
WEIGHTS_SUFFIX = ".weights.h5"


@dataclass(frozen=True)
class Preset:
    """A named BASNet.

    Attributes:
        description: One line.
        backbone: Arguments of ``ResNetBackbone.from_preset``; empty for an ``EfficientNetLite0``.
        config: Further arguments of ``BASNet``.
        weights: Its bundled weights file, or None.
        terms: Terms of use of the weights.
        layers: The list of its layers with which OpenVINO runs it without Keras, or None.
    """

    description: str
    backbone: dict
    config: dict
    weights: Path | None = None
    terms: str = ""
    layers: Path | None = None


_RESNET18 = {"preset": "resnet18"}
_RESNET34 = {"preset": "resnet34"}
_KERAS_CV = {"num_classes": 1, "input_shape": (288, 288, 3)}

PRESETS = {
    "resnet18": Preset("KerasCV's BASNet around a ResNet-18, classes to be given", _RESNET18, {}),
    "resnet34": Preset("KerasCV's BASNet around a ResNet-34, classes to be given", _RESNET34, {}),
    "basnet_resnet18": Preset(
        "KerasCV's BASNet around a ResNet-18, 98,780,872 parameters", _RESNET18, _KERAS_CV
    ),
    "basnet_resnet34": Preset(
        "KerasCV's BASNet around a ResNet-34, 108,896,456 parameters", _RESNET34, _KERAS_CV
    ),
    "basnet_paper": Preset(
        "the network that the paper's authors published, 87,060,360 trainable parameters",
        {**_RESNET34, "style": "paper"},
        {"num_classes": 1},
    ),
    "basnet_mini": Preset(
        "the authors' network at a quarter of its width, around an EfficientNet-Lite0",
        {},
        {"num_classes": 1, "projection_filters": 16, "include_rescaling": True},
        weights=WEIGHTS / "basnet_mini.weights.h5",
        terms="trained on photos some of which are for research only; see model/weights/README.md",
        layers=WEIGHTS / "basnet_mini.layers.json",
    ),
}
