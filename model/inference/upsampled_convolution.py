"""A 3x3 convolution of upsampled features, with a quarter of the products.

Both steps are linear. Upsampling mixes pixels, and each of the nine taps of the convolution mixes
channels, so they can be swapped: the taps are applied first, to a quarter of the pixels. Their
outputs are then upsampled, shifted and added, by one matrix for rows and one for columns.
"""

from __future__ import annotations

import numpy as np
from keras import layers, ops


class UpsampledConv2D(layers.Layer):
    """Upsamples features bilinearly by two, concatenates them to others and convolves both by 3x3.

    Maps two inputs, (N, 2H, 2W, A) and the small one (N, H, W, B), to (N, 2H, 2W, filters).

    Args:
        filters: Number of output channels.
        **kwargs: As for any layer.
    """

    def __init__(self, filters: int, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters

    def build(self, input_shape):
        """Creates the weights.

        Args:
            input_shape: Shapes of the two inputs; H and W must be known.
        """
        (*_, beside), (_, height, width, below) = input_shape
        self.kernel = self.add_weight((3, 3, beside, self.filters), "zeros", name="kernel")
        # One kernel for each row of the 3x3 kernel; it computes the three taps of the row at once.
        self.row_kernels = [
            self.add_weight((1, 1, below, 3 * self.filters), "zeros", name="kernel")
            for _ in range(3)
        ]
        self.bias = self.add_weight((self.filters,), "zeros", name="bias")
        self.rows, self.columns = _taps(height), _taps(width)

    def set_conv_weights(self, kernel: np.ndarray, bias: np.ndarray | None = None) -> None:
        """Sets the weights to those of a ``Conv2D`` over the concatenation.

        Args:
            kernel: float (3, 3, A + B, filters).
            bias: float (filters,), or None.
        """
        beside, below = np.split(kernel, [self.kernel.shape[2]], axis=2)
        # The products of the left tap come first.
        rows = [row.swapaxes(0, 1).reshape(1, 1, len(row[0]), -1) for row in below]
        self.set_weights([beside, *rows, np.zeros(self.filters) if bias is None else bias])

    def call(self, inputs):
        """Maps (N, 2H, 2W, A) and (N, H, W, B) to (N, 2H, 2W, filters)."""
        beside, below = inputs
        _, height, width, _ = below.shape
        rows = ops.convert_to_tensor(self.rows, below.dtype)
        columns = ops.convert_to_tensor(self.columns, below.dtype)
        row_length = 2 * width * self.filters

        def upsampled(products):
            along_rows = []
            for x in products:
                x = ops.matmul(columns, ops.reshape(x, (height, 3 * width, self.filters)))
                along_rows.append(ops.reshape(x, (height, row_length)))
            x = ops.reshape(ops.stack(along_rows, axis=1), (3 * height, row_length))
            return ops.reshape(ops.matmul(rows, x), (2 * height, 2 * width, self.filters))

        products = [ops.conv(below, kernel, padding="same") for kernel in self.row_kernels]
        # One image at a time. In a batch of matrices, oneDNN's threads make the last digits depend
        # on the place in the batch.
        x = ops.map(upsampled, products)
        return ops.conv(beside, self.kernel, padding="same") + self.bias + x


def _taps(size: int) -> np.ndarray:
    """Matrix (2 * size, 3 * size) that upsamples the products of three taps and adds them up."""
    at = (np.arange(2 * size) + 0.5) / 2 - 0.5
    upsampling = np.stack([np.interp(at, np.arange(size), unit) for unit in np.eye(size)], axis=1)
    # The convolution pads with zeros.
    padded = np.pad(upsampling, ((1, 1), (0, 0)))
    taps = np.stack([padded[tap : tap + 2 * size] for tap in range(3)], axis=2)
    return taps.reshape(2 * size, 3 * size).astype(np.float32)
