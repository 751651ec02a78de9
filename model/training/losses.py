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
# Makes the IoU of two empty maps 1 instead of 0 / 0; far below one pixel.
IOU_EPSILON = 1e-6


def structural_similarity(x: keras.KerasTensor, y: keras.KerasTensor) -> keras.KerasTensor:
    """Mean structural similarity (SSIM) of each pair of maps, over all windows inside the map.

    Args:
        x: Maps (N, H, W, 1) in [0, 1], any float dtype; H and W at least 11.
        y: Maps of the same shape and range.

    Returns:
        float32 (N,), at most 1: what `tf.image.ssim(x, y, max_val=1)` gives.

    Raises:
        ValueError: The maps are not of shape (N, H, W, 1), or a known side is smaller than the
            window.
    """
    x, y = ops.cast(x, "float32"), ops.cast(y, "float32")
    for maps in (x, y):
        if len(maps.shape) != 4 or maps.shape[-1] != 1:
            raise ValueError(f"SSIM needs maps of shape (N, H, W, 1), got {tuple(maps.shape)}")
        if any(side is not None and side < WINDOW for side in maps.shape[1:3]):
            raise ValueError(
                f"SSIM needs maps of at least {WINDOW} x {WINDOW} pixels, got {tuple(maps.shape)}"
            )
    # Only the sum of the variances is needed. x is blurred apart from the rest, so that a graph
    # with one target for many outputs blurs the target once.
    mean_x = _blur(x)
    moments = ops.concatenate([y, x * y, x * x + y * y], axis=0)
    mean_y, mean_xy, mean_squares = ops.split(_blur(moments), 3, axis=0)
    product = mean_x * mean_y
    squares = mean_x * mean_x + mean_y * mean_y
    luminance = (2.0 * product + C1) / (squares + C1)
    structure = (2.0 * (mean_xy - product) + C2) / (mean_squares - squares + C2)
    return ops.mean(luminance * structure, axis=(1, 2))


def soft_iou(y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
    """Soft intersection over union of each pair of maps: products replace the logical and.

    Args:
        y_true: Maps (N, H, W, 1) in [0, 1], any float dtype.
        y_pred: Maps of the same shape and range.

    Returns:
        float32 (N,) in [0, 1]; 1 for two empty maps.
    """
    y_true, y_pred = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
    intersection = ops.sum(y_true * y_pred, axis=(1, 2, 3))
    total = ops.sum(y_true, axis=(1, 2, 3)) + ops.sum(y_pred, axis=(1, 2, 3))
    return (intersection + IOU_EPSILON) / (total - intersection + IOU_EPSILON)


def binary_crossentropy(y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
    """Mean binary cross-entropy of each pair of maps; clipped predictions keep it finite.

    Args:
        y_true: Maps (N, H, W, 1) in [0, 1], any float dtype.
        y_pred: Maps of the same shape and range.

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

    It is computed in float32 whatever the dtype of the maps, because the variances inside SSIM are
    small differences of large sums.

    Args:
        ssim: Weight of the SSIM part; 1 in the paper. SSIM makes an unsure network prefer object to
            background: on a flat background it falls to 0 once probabilities pass about 0.1, on a
            flat object only when they come near 0.
        name: Name of the loss.
        reduction: How the losses of the images become one number, as for every Keras loss.
        **kwargs: Further arguments of ``keras.losses.Loss``.
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
        """Returns the arguments that build this loss again."""
        return {**super().get_config(), "ssim": self.ssim}

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        """Returns the loss of each image.

        Args:
            y_true: Maps (N, H, W, 1) in [0, 1].
            y_pred: Maps of the same shape and range.

        Returns:
            float32 (N,), at least 0.
        """
        return (
            binary_crossentropy(y_true, y_pred)
            + self.ssim * (1.0 - structural_similarity(y_true, y_pred))
            + (1.0 - soft_iou(y_true, y_pred))
        )


def _blur(maps: keras.KerasTensor) -> keras.KerasTensor:
    """Gaussian-weighted means over the windows inside: (N, H, W, 1) to (N, H - 10, W - 10)."""
    _, height, width, _ = ops.shape(maps)
    maps = ops.matmul(ops.squeeze(maps, axis=-1), _window_means(width))
    return ops.matmul(ops.transpose(_window_means(height)), maps)


def _window_means(length: int) -> keras.KerasTensor:
    """Matrix (L, L - 10) whose columns are the Gaussian windows along a side of ``length`` L.

    A product with it takes half the time of a one-channel convolution, despite more arithmetic.
    """
    inside = ops.expand_dims(ops.arange(length, dtype="int32"), 1)
    corner = ops.expand_dims(ops.arange(length - WINDOW + 1, dtype="int32"), 0)
    offset = ops.cast(inside - corner, "float32") - (WINDOW - 1) / 2
    taps = ops.exp(-0.5 * ops.square(offset / SIGMA))
    taps = ops.where(ops.abs(offset) < WINDOW / 2, taps, 0.0)
    return taps / ops.sum(taps, axis=0, keepdims=True)
