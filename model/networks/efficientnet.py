"""EfficientNet-Lite0, a small network with published weights that were trained on ImageNet.

Tan & Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019,
with ReLU6 in place of swish and without squeeze-and-excitation. Layout is NHWC.
"""

from __future__ import annotations

import keras
from keras import layers

# Expansion, channels, blocks, stride of the first block and kernel: table 1 of EfficientNet without
# its last stage. Each row holds the stages of one size of features.
_STAGES = (
    ((1, 16, 1, 1, 3),),
    ((6, 24, 2, 2, 3),),
    ((6, 40, 2, 2, 5),),
    ((6, 80, 3, 2, 3), (6, 112, 3, 1, 5)),
    ((6, 192, 4, 2, 5),),
)
_EPSILON = 1e-3


class InvertedResidual:
    """A wide depthwise convolution between two 1x1 ones, and a shortcut (Sandler et al. 2018).

    Holds its layers and applies them to any tensor, as ``BasicBlock`` does.

    Args:
        width: Channels of the input.
        expansion: Channels of the depthwise convolution as a multiple of ``width``; with 1 there is
            no 1x1 convolution before it.
        channels: Channels of the output.
        stride: Stride of the depthwise convolution.
        kernel: Side of its kernel.
        name: Prefix of the names of its layers.
    """

    def __init__(
        self, width: int, expansion: int, channels: int, stride: int, kernel: int, name: str
    ):
        self.expand = []
        if expansion > 1:
            self.expand = _convolution(width * expansion, 1, 1, f"{name}_expand", activate=True)
        depthwise = layers.DepthwiseConv2D(
            kernel, stride, padding="same", use_bias=False, name=f"{name}_depthwise_conv"
        )
        self.depthwise = _normalized(depthwise, f"{name}_depthwise", activate=True)
        self.project = _convolution(channels, 1, 1, f"{name}_project", activate=False)
        self.add = layers.Add(name=f"{name}_add") if stride == 1 and width == channels else None

    def __call__(self, x):
        """Maps (N, H, W, width) to (N, ceil(H / stride), ceil(W / stride), channels)."""
        shortcut = x
        for layer in [*self.expand, *self.depthwise, *self.project]:
            x = layer(x)
        return self.add([shortcut, x]) if self.add else x


@keras.saving.register_keras_serializable(package="basnet")
class EfficientNetLite0(keras.Model):
    """EfficientNet-Lite0 without its last stage and its classifier, with random weights.

    Maps pixels in [0, 1], (N, H, W, 3), to features (N, H/32, W/32, 192).

    Args:
        **kwargs: ``name`` and ``trainable``, as any ``keras.Model`` takes them.

    Attributes:
        stages: The ``InvertedResidual`` blocks of each of five stages, whose features have 1/2 to
            1/32 of the image's sides.
        stem: The layers before the first stage.
        style: Style of a BASNet around it; a key of ``resnet.STYLES``.
    """

    style = "paper"

    def __init__(self, **kwargs):
        stem = [
            layers.Rescaling(255 / 128, offset=-127 / 128, name="encoder_rescaling"),
            *_convolution(32, 3, 2, "encoder_stem", activate=True),
        ]
        stages, width = [], 32
        # BASNet's own stem is stage 1, at the size of the image.
        for stage, rows in enumerate(_STAGES, start=2):
            stages.append([])
            for expansion, channels, blocks, stride, kernel in rows:
                for block in range(blocks):
                    name = f"encoder{stage}_block{len(stages[-1]) + 1}"
                    first = stride if block == 0 else 1
                    stages[-1].append(
                        InvertedResidual(width, expansion, channels, first, kernel, name)
                    )
                    width = channels
        inputs = x = keras.Input((None, None, 3))
        for step in [*stem, *(block for stage in stages for block in stage)]:
            x = step(x)
        super().__init__(inputs=inputs, outputs=x, **kwargs)
        # keras.Model set ``trainable`` before it had layers to apply it to.
        for layer in self.layers:
            layer.trainable = self.trainable
        self.stem = stem
        self.stages = stages

    def get_config(self) -> dict:
        """Returns the arguments that build this network again."""
        return {"name": self.name, "trainable": self.trainable}

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> EfficientNetLite0:
        """Builds a network from its configuration.

        Args:
            config: What ``get_config`` returned.
            custom_objects: Not used; Keras passes it.
        """
        return cls(**config)


def _convolution(
    filters: int, kernel: int, stride: int, name: str, *, activate: bool
) -> list[layers.Layer]:
    conv = layers.Conv2D(
        filters, kernel, stride, padding="same", use_bias=False, name=f"{name}_conv"
    )
    return _normalized(conv, name, activate=activate)


def _normalized(conv: layers.Layer, name: str, *, activate: bool) -> list[layers.Layer]:
    norm = layers.BatchNormalization(epsilon=_EPSILON, name=f"{name}_bn")
    return [conv, norm, *([layers.ReLU(6, name=f"{name}_relu")] if activate else [])]
