"""The refine module of BASNet: a small U-Net that adds a residual to the coarse map.

Qin et al., CVPR 2019, section 3.3. Layout is NHWC.
"""

from __future__ import annotations

from keras import layers

from model.networks.resnet import conv_bn_relu


def refine_module(coarse, filters: int, head: layers.Layer, style: str):
    """Computes the refined logits.

    Args:
        coarse: Logits (N, H, W, num_classes) of the predict module.
        filters: Width of every convolution.
        head: Layer that turns the last features into the residual.
        style: A key of ``resnet.STYLES``.

    Returns:
        Logits (N, H, W, num_classes), ``coarse`` plus the residual.
    """
    x = layers.Conv2D(filters, 3, padding="same", name="refine_stem_conv")(coarse)
    skips = []
    for stage in (1, 2, 3, 4):
        x = conv_bn_relu(x, filters, style=style, name=f"refine_encoder{stage}")
        skips.append(x)
        x = layers.MaxPooling2D(2, name=f"refine_encoder{stage}_pool")(x)
    x = conv_bn_relu(x, filters, style=style, name="refine_bridge")
    for stage in (4, 3, 2, 1):
        x = layers.UpSampling2D(
            2, interpolation="bilinear", name=f"refine_decoder{stage}_upsample"
        )(x)
        x = layers.Concatenate(name=f"refine_decoder{stage}_concatenate")([skips[stage - 1], x])
        x = conv_bn_relu(x, filters, style=style, name=f"refine_decoder{stage}")
    return layers.Add(name="refine_add")([coarse, head(x)])
