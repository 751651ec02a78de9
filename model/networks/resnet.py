"""Residual networks for the encoder of a BASNet: ResNet-18, ResNet-34 and narrower ones.

Layout is NHWC. There are three styles of network, which share no weights:

- ``"keras_cv"``: as ``keras_cv.models.ResNetBackbone`` builds it;
- ``"keras_hub"``: as ``keras_hub.models.ResNetBackbone`` does;
- ``"paper"``: as the authors of BASNet published it in PyTorch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras
from keras import layers


@dataclass(frozen=True)
class Style:
    """The differences between the networks of KerasCV, KerasHub and the paper's authors.

    Attributes:
        residual_epsilon: Epsilon of batch normalisation in the encoder.
        epsilon: Epsilon of batch normalisation everywhere else.
        residual_momentum: Momentum of the moving mean and variance in the encoder.
        momentum: Momentum of the moving mean and variance everywhere else.
        symmetric_padding: Strided convolutions pad one pixel on each side, as PyTorch does,
            instead of Keras' ``"same"``, which pads an even size at its end only.
        own_stem: The network starts with BASNet's stem (3x3, stride 1, batch normalisation,
            ReLU) instead of ResNet's (7x7, stride 2, pooled).
        linear_stages: BASNet leaves out the last ReLU of each stage of the ResNet.
    """

    residual_epsilon: float
    epsilon: float
    residual_momentum: float
    momentum: float
    symmetric_padding: bool
    own_stem: bool
    linear_stages: bool


STYLES = {
    "keras_cv": Style(1.001e-5, 1e-3, 0.99, 0.99, False, own_stem=False, linear_stages=False),
    "keras_hub": Style(1e-5, 1e-3, 0.9, 0.99, True, own_stem=False, linear_stages=True),
    "paper": Style(1e-5, 1e-5, 0.9, 0.9, True, own_stem=True, linear_stages=False),
}

# Widths and depths of He et al. 2016, "Deep Residual Learning for Image Recognition", table 1.
PRESETS = {
    "resnet18": {"stackwise_filters": (64, 128, 256, 512), "stackwise_blocks": (2, 2, 2, 2)},
    "resnet34": {"stackwise_filters": (64, 128, 256, 512), "stackwise_blocks": (3, 4, 6, 3)},
}


class BasicBlock:
    """Two 3x3 convolutions and a shortcut (He et al. 2016, figure 2).

    Holds its layers and applies them to any tensor, so that a network built around a backbone
    shares the backbone's weights and stays one flat graph of plain Keras layers.

    Args:
        filters: Width of both convolutions.
        stride: Stride of the first convolution and of the shortcut.
        project: Whether the shortcut is a 1x1 convolution instead of the input itself.
        style: A key of ``STYLES``.
        name: Prefix of the names of its layers.
    """

    def __init__(self, filters: int, stride: int, project: bool, style: str, name: str):
        def conv(size: int, stride: int, padding: str, suffix: str) -> layers.Conv2D:
            return layers.Conv2D(
                filters, size, stride, padding, use_bias=False, name=f"{name}_{suffix}"
            )

        def norm(suffix: str) -> layers.BatchNormalization:
            return layers.BatchNormalization(
                epsilon=STYLES[style].residual_epsilon,
                momentum=STYLES[style].residual_momentum,
                name=f"{name}_{suffix}",
            )

        pad = STYLES[style].symmetric_padding and stride > 1
        self.main = [
            *([layers.ZeroPadding2D(1, name=f"{name}_pad")] if pad else []),
            conv(3, stride, "valid" if pad else "same", "conv1"),
            norm("bn1"),
            layers.ReLU(name=f"{name}_relu1"),
            conv(3, 1, "same", "conv2"),
            norm("bn2"),
        ]
        self.shortcut = (
            [conv(1, stride, "valid", "shortcut_conv"), norm("shortcut_bn")] if project else []
        )
        self.add = layers.Add(name=f"{name}_add")
        self.relu = layers.ReLU(name=f"{name}_relu2")

    def __call__(self, x, activate: bool = True):
        """Maps (N, H, W, C) to (N, ceil(H / stride), ceil(W / stride), filters).

        Args:
            x: The features.
            activate: Whether a ReLU ends the block.
        """
        shortcut = x
        for layer in self.shortcut:
            shortcut = layer(shortcut)
        for layer in self.main:
            x = layer(x)
        x = self.add([shortcut, x])
        return self.relu(x) if activate else x


@keras.saving.register_keras_serializable(package="basnet")
class ResNetBackbone(keras.Model):
    """A ResNet of basic blocks without its classifier.

    Args:
        stackwise_filters: Width of each stage.
        stackwise_blocks: Number of blocks of each stage.
        stackwise_strides: Stride of the first block of each stage.
        include_rescaling: Whether inputs are divided by 255 first.
        input_shape: Shape of one image, (height, width, 3).
        input_tensor: Keras tensor to use as the input instead of a new one.
        style: A key of ``STYLES``: whose network this is.
        **kwargs: ``name`` and ``trainable``, as any ``keras.Model`` takes them.

    Attributes:
        stages: For each stage, its ``BasicBlock`` objects.
        stem: The layers before the first stage.

    Raises:
        ValueError: The lists differ in length, or the style is unknown.

    Example:
        >>> backbone = ResNetBackbone.from_preset("resnet18")
        >>> backbone(np.zeros((1, 224, 224, 3))).shape
        (1, 7, 7, 512)
    """

    def __init__(
        self,
        *,
        stackwise_filters: Sequence[int],
        stackwise_blocks: Sequence[int],
        stackwise_strides: Sequence[int] = (1, 2, 2, 2),
        include_rescaling: bool = False,
        input_shape: Sequence[int | None] = (None, None, 3),
        input_tensor=None,
        style: str = "keras_cv",
        **kwargs,
    ):
        if not len(stackwise_filters) == len(stackwise_blocks) == len(stackwise_strides):
            raise ValueError(
                "stackwise_filters, stackwise_blocks and stackwise_strides need one entry a stage "
                f"each; got {stackwise_filters}, {stackwise_blocks} and {stackwise_strides}"
            )
        if style not in STYLES:
            raise ValueError(f"style must be one of {', '.join(STYLES)}; got {style!r}")

        stem = _stem(stackwise_filters[0], style)
        stages = []
        width = stackwise_filters[0] if STYLES[style].own_stem else 64
        for number, (filters, blocks, stride) in enumerate(
            zip(stackwise_filters, stackwise_blocks, stackwise_strides, strict=True), start=1
        ):
            # ResNet's first stage keeps size and width, so its shortcut is the input itself.
            project = stride > 1 or filters != width
            stages.append(
                [
                    BasicBlock(
                        filters,
                        stride=stride if block == 1 else 1,
                        project=project and block == 1,
                        style=style,
                        name=f"encoder{number}_block{block}",
                    )
                    for block in range(1, blocks + 1)
                ]
            )
            width = filters

        inputs = keras.Input(tuple(input_shape)) if input_tensor is None else input_tensor
        x = layers.Rescaling(1 / 255.0)(inputs) if include_rescaling else inputs
        for step in [*stem, *(block for stage in stages for block in stage)]:
            x = step(x)
        super().__init__(inputs=inputs, outputs=x, **kwargs)
        # keras.Model set ``trainable`` before it had layers to apply it to.
        for layer in self.layers:
            layer.trainable = self.trainable

        self.stem = stem
        self.stages = stages
        self.stackwise_filters = tuple(stackwise_filters)
        self.stackwise_blocks = tuple(stackwise_blocks)
        self.stackwise_strides = tuple(stackwise_strides)
        self.include_rescaling = include_rescaling
        self.style = style

    def get_config(self) -> dict:
        """Returns the arguments that build this network again, except ``input_tensor``."""
        return {
            "stackwise_filters": self.stackwise_filters,
            "stackwise_blocks": self.stackwise_blocks,
            "stackwise_strides": self.stackwise_strides,
            "include_rescaling": self.include_rescaling,
            "input_shape": self.input_shape[1:],
            "style": self.style,
            "name": self.name,
            "trainable": self.trainable,
        }

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> ResNetBackbone:
        """Builds a network from its configuration.

        Args:
            config: What ``get_config`` returned.
            custom_objects: Not used; Keras passes it.
        """
        return cls(**config)

    @classmethod
    def from_preset(cls, preset: str, **kwargs) -> ResNetBackbone:
        """Builds ``"resnet18"`` or ``"resnet34"`` with random weights.

        Args:
            preset: A key of ``PRESETS``.
            **kwargs: Arguments of the class, which replace those of the preset.

        Raises:
            ValueError: The preset is unknown.
        """
        if preset not in PRESETS:
            raise ValueError(f"unknown preset {preset!r}; there are {', '.join(PRESETS)}")
        return cls(**{**PRESETS[preset], **kwargs})


def conv_bn_relu(
    x, filters: int, *, style: str, name: str, dilation: int = 1, number: int | str = ""
):
    """Applies a 3x3 convolution with bias, batch normalisation and ReLU.

    Args:
        x: Features (N, H, W, C).
        filters: Width of the convolution.
        style: A key of ``STYLES``.
        name: Prefix of the names of the layers.
        dilation: Dilation of the convolution.
        number: Suffix of the names of the layers.

    Returns:
        Features (N, H, W, filters).
    """
    x = layers.Conv2D(
        filters, 3, padding="same", dilation_rate=dilation, name=f"{name}_conv{number}"
    )(x)
    x = layers.BatchNormalization(
        epsilon=STYLES[style].epsilon,
        momentum=STYLES[style].momentum,
        name=f"{name}_bn{number}",
    )(x)
    return layers.ReLU(name=f"{name}_relu{number}")(x)


def _stem(filters: int, style: str) -> list[layers.Layer]:
    kind = STYLES[style]
    norm = {"epsilon": kind.residual_epsilon, "momentum": kind.residual_momentum}
    if kind.own_stem:
        return [
            layers.Conv2D(filters, 3, padding="same", name="stem_conv"),
            layers.BatchNormalization(**norm, name="stem_bn"),
            layers.ReLU(name="stem_relu"),
        ]
    padding = "valid" if kind.symmetric_padding else "same"

    def pad(size: int, name: str) -> list[layers.Layer]:
        return [layers.ZeroPadding2D(size, name=name)] if kind.symmetric_padding else []

    return [
        *pad(3, "resnet_stem_conv_pad"),
        layers.Conv2D(64, 7, 2, padding=padding, use_bias=False, name="resnet_stem_conv"),
        layers.BatchNormalization(**norm, name="resnet_stem_bn"),
        layers.ReLU(name="resnet_stem_relu"),
        *pad(1, "resnet_stem_pool_pad"),
        layers.MaxPooling2D(3, 2, padding=padding, name="resnet_stem_pool"),
    ]
