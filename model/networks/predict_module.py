"""The predict module of BASNet: encoder, bridge and decoder (Qin et al., CVPR 2019, figure 2).

Layout is NHWC.
"""

from __future__ import annotations

from keras import layers

from model.networks.efficientnet import EfficientNetLite0
from model.networks.resnet import STYLES, BasicBlock, ResNetBackbone, conv_bn_relu

# Widths of the three convolutions of each decoder stage, stage 6 first, in units of ``filters``.
_DECODER_WIDTHS = {
    "keras_cv": ((8, 8, 8),) * 6,
    "keras_hub": ((8, 8, 8),) * 6,
    "paper": ((8, 8, 8), (8, 8, 8), (8, 8, 4), (4, 4, 2), (2, 2, 1), (1, 1, 1)),
}
_DECODER6_DILATIONS = {"keras_cv": (1, 1, 1), "keras_hub": (1, 1, 1), "paper": (1, 2, 2)}


def predict_module(x, backbone: ResNetBackbone | EfficientNetLite0, filters: int) -> list:
    """Computes the features that the side outputs are made from.

    Args:
        x: Images (N, H, W, 3) in the range of the backbone.
        backbone: The encoder; its style decides the widths and dilations of the decoder.
        filters: Width of the stem; bridge and decoder are multiples of it.

    Returns:
        Features of decoder stages 1 to 6 and of the bridge. Stage n has sides H / 2^(n-1) and
        W / 2^(n-1), the bridge those of stage 6.
    """
    style = backbone.style
    if isinstance(backbone, EfficientNetLite0):
        skips = _efficient_encoder(x, backbone, filters)
    else:
        skips = _residual_encoder(x, backbone, filters)

    x = skips[-1]
    for number in (1, 2, 3):
        x = conv_bn_relu(x, filters * 8, style=style, name="bridge", number=number, dilation=2)
    features = [x]

    for stage, widths in zip((6, 5, 4, 3, 2, 1), _DECODER_WIDTHS[style], strict=True):
        if stage != 6:
            x = layers.UpSampling2D(2, interpolation="bilinear", name=f"decoder{stage}_upsample")(x)
        x = layers.Concatenate(name=f"decoder{stage}_concatenate")([skips[stage - 1], x])
        dilations = _DECODER6_DILATIONS[style] if stage == 6 else (1, 1, 1)
        for number, (width, dilation) in enumerate(zip(widths, dilations, strict=True), start=1):
            x = conv_bn_relu(
                x,
                filters * width,
                style=style,
                name=f"decoder{stage}",
                number=number,
                dilation=dilation,
            )
        features.insert(0, x)
    return features


def _residual_encoder(x, backbone: ResNetBackbone, filters: int) -> list:
    """Features of the four stages of the ResNet and of two more, each half the size of the last."""
    style = backbone.style
    if STYLES[style].own_stem:
        for layer in backbone.stem:
            x = layer(x)
    else:
        x = layers.Conv2D(filters, 3, padding="same", name="stem_conv")(x)
        for layer in backbone.stem:
            layer.trainable = False  # BASNet's own stem replaces it.

    skips = []
    for stage in backbone.stages:
        for block in stage[:-1]:
            x = block(x)
        x = stage[-1](x, activate=not STYLES[style].linear_stages)
        skips.append(x)
    for number in (5, 6):
        x = layers.MaxPooling2D(2, name=f"encoder{number}_pool")(x)
        for block in (1, 2, 3):
            name = f"encoder{number}_block{block}"
            x = BasicBlock(x.shape[-1], stride=1, project=False, style=style, name=name)(x)
        skips.append(x)
    return skips


def _efficient_encoder(x, backbone: EfficientNetLite0, filters: int) -> list:
    """Features of a convolution at the size of the image and of the five stages of the backbone."""
    skips = [conv_bn_relu(x, filters, style=backbone.style, name="stem")]
    for step in backbone.stem:
        x = step(x)
    for stage in backbone.stages:
        for block in stage:
            x = block(x)
        skips.append(x)
    return skips
