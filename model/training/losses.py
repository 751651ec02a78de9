"""The hybrid loss of BASNet: pixels (BCE), patches (SSIM) and the whole map (IoU).

Qin et al., "BASNet: Boundary-Aware Salient Object Detection", CVPR 2019, section 3.4. Only `keras`
and `keras.ops` are used, so that every Keras backend runs it.
"""

import keras
from keras import ops

WINDOW = 11
SIGMA = 1.5
# Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", 2004.
C1 = 0.01**2
C2 = 0.03**2
# Keeps 0 / 0 at 1 for an empty map of an empty image; far below one pixel.
IOU_EPSILON = 1e-6


def structural_similarity(x: keras.KerasTensor, y: keras.KerasTensor) -> keras.KerasTensor:
    """Mean structural similarity of every pair of maps, over the windows that lie inside them.

    Args:
        x: maps (N, H, W, 1) in [0, 1], any float dtype; H and W at least 11.
        y: maps of the same shape and range.

    Returns:
        float32 (N,), at most 1: what `tf.image.ssim(x, y, max_val=1)` gives.

    Raises:
        ValueError: if a side of the maps is known and smaller than the window.
    """
    x, y = ops.cast(x, "float32"), ops.cast(y, "float32")
    for maps in (x, y):
        if len(maps.shape) != 4 or maps.shape[-1] != 1:
            raise ValueError(f"SSIM needs maps of shape (N, H, W, 1), got {tuple(maps.shape)}")
        if any(side is not None and side < WINDOW for side in maps.shape[1:3]):
            raise ValueError(
                f"SSIM needs maps of at least {WINDOW} x {WINDOW} pixels, got {tuple(maps.shape)}"
            )
    # The variances are only needed as their sum. x stays apart from the rest, so that a graph with
    # one target for many outputs computes the target's means once.
    mean_x = _blur(x)
    moments = ops.concatenate([y, x * y, x * x + y * y], axis=0)
    mean_y, mean_xy, mean_squares = ops.split(_blur(moments), 3, axis=0)
    product = mean_x * mean_y
    squares = mean_x * mean_x + mean_y * mean_y
    luminance = (2.0 * product + C1) / (squares + C1)
    structure = (2.0 * (mean_xy - product) + C2) / (mean_squares - squares + C2)
    return ops.mean(luminance * structure, axis=(1, 2))


def soft_iou(y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
    """Intersection over union of every pair of maps, with products in place of the logical and.

    Args:
        y_true: maps (N, H, W, 1) in [0, 1], any float dtype.
        y_pred: maps of the same shape and range.

    Returns:
        float32 (N,) in [0, 1]; 1 for two empty maps.
    """
    y_true, y_pred = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
    intersection = ops.sum(y_true * y_pred, axis=(1, 2, 3))
    total = ops.sum(y_true, axis=(1, 2, 3)) + ops.sum(y_pred, axis=(1, 2, 3))
    return (intersection + IOU_EPSILON) / (total - intersection + IOU_EPSILON)


def binary_crossentropy(y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
    """Mean binary cross-entropy of every pair of maps; predictions are clipped, so it is finite.

    Args:
        y_true: maps (N, H, W, 1) in [0, 1], any float dtype.
        y_pred: maps of the same shape and range.

    Returns:
        float32 (N,), at least 0.
    """
    y_true, y_pred = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
    y_pred = ops.clip(y_pred, keras.config.epsilon(), 1.0 - keras.config.epsilon())
    likelihood = y_true * ops.log(y_pred) + (1.0 - y_true) * ops.log(1.0 - y_pred)
    return -ops.mean(likelihood, axis=(1, 2, 3))


@keras.saving.register_keras_serializable(package="basnet")
class HybridLoss(keras.losses.Loss):
    """BCE + (1 - SSIM) + (1 - IoU) of one output; BASNet sums it over all of its outputs.

    Always computed in float32, whatever the dtype of the maps: the variances inside SSIM are small
    differences of large sums.

    Args:
        ssim: weight of the second part; the paper's is 1. Where a network is unsure, SSIM alone
            prefers object to background, since it falls to 0 on a flat background as soon as
            probabilities pass about 0.1, and on a flat object only as they near 0.
        name: name of the loss.
        reduction: how the values of the images become one number, as for every Keras loss.
        **kwargs: further arguments of `keras.losses.Loss`.
    """

    def __init__(
        self,
        ssim: float = 1.0,
        name: str = "hybrid_loss",
        reduction: str = "sum_over_batch_size",
        **kwargs,
    ) -> None:
        """Creates the loss; see the class."""
        super().__init__(name=name, reduction=reduction, **kwargs)
        self.ssim = ssim

    def get_config(self) -> dict:
        """The arguments that make this loss again."""
        return {**super().get_config(), "ssim": self.ssim}

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        """Loss of every image.

        Args:
            y_true: maps (N, H, W, 1) in [0, 1].
            y_pred: maps of the same shape and range.

        Returns:
            float32 (N,), at least 0.
        """
        return (
            binary_crossentropy(y_true, y_pred)
            + self.ssim * (1.0 - structural_similarity(y_true, y_pred))
            + (1.0 - soft_iou(y_true, y_pred))
        )


def _blur(maps: keras.KerasTensor) -> keras.KerasTensor:
    """Means over the Gaussian windows that lie inside the maps: (N, H, W, 1) -> (N, H-10, W-10)."""
    _, height, width, _ = ops.shape(maps)
    maps = ops.matmul(ops.squeeze(maps, axis=-1), _window_means(width))
    return ops.matmul(ops.transpose(_window_means(height)), maps)


def _window_means(length: int) -> keras.KerasTensor:
    """Matrix (L, L-10) whose columns are the Gaussian windows along a side of `length` L pixels.

    Multiplying by it costs more arithmetic than a convolution with one channel, and half the time.
    """
    inside = ops.expand_dims(ops.arange(length, dtype="int32"), 1)
    corner = ops.expand_dims(ops.arange(length - WINDOW + 1, dtype="int32"), 0)
    offset = ops.cast(inside - corner, "float32") - (WINDOW - 1) / 2
    taps = ops.exp(-0.5 * ops.square(offset / SIGMA))
    taps = ops.where(ops.abs(offset) < WINDOW / 2, taps, 0.0)
    return taps / ops.sum(taps, axis=0, keepdims=True)
