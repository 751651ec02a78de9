"""BASNet, a network that segments the salient object of a photo with sharp boundaries.

Qin et al., "BASNet: Boundary-Aware Salient Object Detection", CVPR 2019, and its extension,
arXiv:2101.04704. The predict module (an encoder, a bridge and a decoder of six stages, each with a
side output) computes a coarse map. The refine module (a small U-Net) adds a residual to it.

Layout is NHWC. The style of the backbone decides whose network is built; see ``resnet.STYLES``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import keras
from keras import layers

from model.networks.efficientnet import EfficientNetLite0
from model.networks.predict_module import predict_module
from model.networks.refine_module import refine_module
from model.networks.resnet import PRESETS as BACKBONES
from model.networks.resnet import ResNetBackbone
from model.presets import PRESETS

STRIDE = 32
OUTPUT_NAMES = ("refined", "side1", "side2", "side3", "side4", "side5", "side6", "bridge")


@keras.saving.register_keras_serializable(package="basnet")
class BASNet(keras.Model):
    """Boundary-aware segmentation network, as ``keras_cv.models.BASNet`` documents it.

    Maps images (N, H, W, 3) to a list of 8 sigmoid maps (N, H, W, num_classes), float32 in
    [0, 1]: the refined map, the side outputs of decoder stages 1 to 6, and that of the bridge.

    Args:
        backbone: A ``ResNetBackbone`` of four stages, built without ``input_shape``,
            ``input_tensor`` and ``include_rescaling``, or an ``EfficientNetLite0``.
        num_classes: Channels of every map.
        input_shape: Shape of one image, (height, width, 3). Sides are multiples of 32 or None.
        input_tensor: Keras tensor to use as the input instead of a new one.
        include_rescaling: Whether images are divided by 255 first.
        projection_filters: Width of the stem; the bridge and the decoder are multiples of it.
        prediction_heads: Seven layers, stage 1 first and the bridge last, that turn a stage's
            features into a map of the image's size. None: a 3x3 convolution and upsampling.
        refinement_head: Layer that turns the refine module's features into the residual. None: a
            3x3 convolution.
        **kwargs: ``name`` and ``trainable``, as any ``keras.Model`` takes them.

    Raises:
        ValueError: The network cannot use the backbone, or a side of the input is not a multiple
            of 32. The message names the value and a valid one.

    Example:
        >>> model = BASNet(ResNetBackbone.from_preset("resnet34"), num_classes=1)
        >>> refined = model(np.ones((1, 288, 288, 3)))[0]
        >>> model.compile(optimizer="adam", loss=keras.losses.BinaryCrossentropy())
        >>> model.fit(images, masks)  # one mask per image, compared with all eight maps
    """

    def __init__(
        self,
        backbone: ResNetBackbone | EfficientNetLite0,
        num_classes: int,
        input_shape: Sequence[int | None] = (None, None, 3),
        input_tensor=None,
        include_rescaling: bool = False,
        projection_filters: int = 64,
        prediction_heads: Sequence[layers.Layer] | None = None,
        refinement_head: layers.Layer | None = None,
        **kwargs,
    ):
        _check_backbone(backbone, projection_filters)
        inputs = keras.Input(tuple(input_shape)) if input_tensor is None else input_tensor
        _check_sides(inputs.shape)

        if prediction_heads is None:
            prediction_heads = [
                _head(num_classes, size, f"{name}_head")
                for name, size in zip(OUTPUT_NAMES[1:], (1, 2, 4, 8, 16, 32, 32), strict=True)
            ]
        if refinement_head is None:
            refinement_head = _head(num_classes, 1, "refined_head")

        x = layers.Rescaling(1 / 255.0)(inputs) if include_rescaling else inputs
        features = predict_module(x, backbone, projection_filters)
        maps = [head(f) for head, f in zip(prediction_heads, features, strict=True)]
        refined = refine_module(maps[0], projection_filters, refinement_head, backbone.style)
        # As in KerasCV, sigmoids are float32 whatever the precision of the network.
        outputs = [
            layers.Activation("sigmoid", dtype="float32", name=name)(logits)
            for name, logits in zip(OUTPUT_NAMES, [refined, *maps], strict=True)
        ]
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)

        self.backbone = backbone
        self.num_classes = num_classes
        self.include_rescaling = include_rescaling
        self.projection_filters = projection_filters
        self.prediction_heads = list(prediction_heads)
        self.refinement_head = refinement_head

    def call(self, inputs, training=None, mask=None):
        """Maps images (N, H, W, 3) to 8 maps (N, H, W, num_classes)."""
        _check_sides(inputs.shape)
        return super().call(inputs, training=training, mask=mask)

    def compile(self, optimizer="rmsprop", loss=None, loss_weights=None, metrics=None, **kwargs):
        """Compiles as ``keras.Model.compile`` does; a list of metrics applies to every output.

        Args:
            optimizer: As for ``keras.Model``.
            loss: As for ``keras.Model``; one loss applies to every output.
            loss_weights: As for ``keras.Model``.
            metrics: As for ``keras.Model``, or a list of any other length, all of which measure
                every output.
            **kwargs: As for ``keras.Model``.
        """
        if isinstance(metrics, list | tuple) and len(metrics) != len(self.outputs):
            metrics = [[_fresh(metric) for metric in metrics] for _ in self.outputs]
        super().compile(optimizer, loss, loss_weights, metrics, **kwargs)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Returns the loss of all eight maps.

        Args:
            x: Images.
            y: One mask to compare with every map, as in KerasCV, or a list of one for each map.
            y_pred: The maps.
            sample_weight: As for ``keras.Model``.
            training: As for ``keras.Model``.
        """
        return super().compute_loss(
            x, self._for_each_output(y), y_pred, sample_weight, training=training
        )

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Returns the metrics of all eight maps.

        Args:
            x: Images.
            y: One mask to compare with every map, or a list of one for each map.
            y_pred: The maps.
            sample_weight: As for ``keras.Model``.
        """
        return super().compute_metrics(x, self._for_each_output(y), y_pred, sample_weight)

    def _for_each_output(self, y):
        return y if y is None or isinstance(y, list | tuple | dict) else [y] * len(self.outputs)

    def get_config(self) -> dict:
        """Returns the arguments that build this network again, except ``input_tensor``."""
        serialize = keras.saving.serialize_keras_object
        return {
            "backbone": serialize(self.backbone),
            "num_classes": self.num_classes,
            "input_shape": self.input_shape[1:],
            "include_rescaling": self.include_rescaling,
            "projection_filters": self.projection_filters,
            "prediction_heads": [serialize(head) for head in self.prediction_heads],
            "refinement_head": serialize(self.refinement_head),
            "name": self.name,
            "trainable": self.trainable,
        }

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> BASNet:
        """Builds a network from its configuration.

        Args:
            config: What ``get_config`` returned.
            custom_objects: Not used; Keras passes it.
        """
        deserialize = keras.saving.deserialize_keras_object
        parts = {
            "backbone": deserialize(config["backbone"]),
            "prediction_heads": [deserialize(head) for head in config["prediction_heads"]],
            "refinement_head": deserialize(config["refinement_head"]),
        }
        return cls(**{**config, **parts})

    @classmethod
    def from_preset(
        cls,
        preset: str,
        load_weights: bool | None = None,
        input_shape: Sequence[int | None] | None = None,
        **kwargs,
    ) -> BASNet:
        """Builds a named network.

        Args:
            preset: A key of ``BASNet.presets``. ``"resnet18"`` and ``"resnet34"`` name the
                backbone only, so ``num_classes`` has to be given.
            load_weights: Whether to load the preset's weights. None: if it has any.
            input_shape: Shape of one image; None for that of the preset.
            **kwargs: Arguments of the class, which replace those of the preset.

        Raises:
            ValueError: The preset is unknown, or has no weights and ``load_weights`` is true.
        """
        if preset not in PRESETS:
            raise ValueError(f"unknown preset {preset!r}; there are {', '.join(PRESETS)}")
        chosen = PRESETS[preset]
        if load_weights and chosen.weights is None:
            with_weights = ", ".join(cls.presets_with_weights)
            raise ValueError(f"preset {preset!r} has no weights; those with are {with_weights}")
        shape = {} if input_shape is None else {"input_shape": input_shape}
        kind = ResNetBackbone.from_preset if chosen.backbone else EfficientNetLite0
        model = cls(backbone=kind(**chosen.backbone), **{**chosen.config, **shape, **kwargs})
        if chosen.weights is not None and load_weights in (None, True):
            model.load_weights(chosen.weights)
        return model

    presets: ClassVar = {name: preset.description for name, preset in PRESETS.items()}
    presets_with_weights: ClassVar = {n: p.description for n, p in PRESETS.items() if p.weights}
    presets_without_weights: ClassVar = {
        n: p.description for n, p in PRESETS.items() if not p.weights
    }
    backbone_presets: ClassVar = {n: p.description for n, p in PRESETS.items() if n in BACKBONES}


def _fresh(metric):
    """Returns the metric itself, or a new one like it if it has state that outputs would share."""
    is_stateful = isinstance(metric, keras.metrics.Metric)
    return type(metric).from_config(metric.get_config()) if is_stateful else metric


def _head(num_classes: int, size: int, name: str) -> keras.Sequential:
    conv = layers.Conv2D(num_classes, 3, padding="same", name=f"{name}_conv")
    if size == 1:
        return keras.Sequential([conv], name=name)
    upsample = layers.UpSampling2D(size, interpolation="bilinear", name=f"{name}_upsample")
    return keras.Sequential([conv, upsample], name=name)


def _check_backbone(backbone, projection_filters: int) -> None:
    if isinstance(backbone, EfficientNetLite0):
        return
    if not isinstance(backbone, ResNetBackbone):
        raise ValueError(
            f"backbone must be a ResNetBackbone, such as ResNetBackbone.from_preset('resnet34'), "
            f"or an EfficientNetLite0; got {backbone!r}"
        )
    if backbone.input_shape != (None, None, None, 3) or backbone.include_rescaling:
        raise ValueError(
            "give input_shape, input_tensor and include_rescaling to BASNet, not to its backbone; "
            f"got a backbone with input shape {backbone.input_shape[1:]} and "
            f"include_rescaling={backbone.include_rescaling}"
        )
    if backbone.stackwise_strides != (1, 2, 2, 2):
        raise ValueError(
            "BASNet needs a backbone of four stages with strides (1, 2, 2, 2); "
            f"got {backbone.stackwise_strides}"
        )
    width = backbone.stackwise_filters[0]
    if projection_filters != width:
        raise ValueError(
            f"projection_filters must equal the width of the backbone's first stage, {width}; "
            f"got {projection_filters}"
        )


def _check_sides(shape) -> None:
    """Raises a ValueError if H or W of a shape (N, H, W, 3) is known and no multiple of 32."""
    if any(isinstance(side, int) and side % STRIDE for side in shape[1:3]):
        raise ValueError(
            f"BASNet needs images whose height and width are multiples of {STRIDE}; "
            f"got {shape[1]} x {shape[2]}; the nearest valid size is "
            f"{_nearest(shape[1])} x {_nearest(shape[2])}"
        )


def _nearest(side: int | None) -> int | None:
    return side and max(STRIDE, round(side / STRIDE) * STRIDE)
