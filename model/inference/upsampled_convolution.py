"""A convolution of upsampled features, at a quarter of the products.

Both steps are linear, and mix different axes: upsampling mixes pixels, each of a convolution's nine
kernels mixes channels. So the kernels may come first, on a quarter of the pixels. What they give is
then upsampled, shifted and added, by one matrix for rows and one for columns.
"""

from __future__ import annotations

import numpy as np
from keras import layers, ops


class UpsampledConv2D(layers.Layer):
    """As ``Conv2D`` of 3x3 over a concatenation whose last part was upsampled bilinearly by two.

    Maps features (N, 2H, 2W, A) and those to be upsampled, (N, H, W, B), to
    (N, 2H, 2W, filters). It takes the weights of such a convolution, by `set_conv_weights`.

    Args:
        filters: Number of output channels.
        **kwargs: As any layer takes them.
    """

    def __init__(self, filters: int, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters

    def build(self, input_shape):
        """Makes weights for two inputs of these shapes."""
        (*_, beside), (_, height, width, below) = input_shape
        self.kernel = self.add_weight((3, 3, beside, self.filters), "zeros", name="kernel")
        # A kernel for each row of a 3x3 kernel, which gives its three columns' products at once.
        self.row_kernels = [
            self.add_weight((1, 1, below, 3 * self.filters), "zeros", name="kernel")
            for _ in range(3)
        ]
        self.bias = self.add_weight((self.filters,), "zeros", name="bias")
        self.rows, self.columns = _taps(height), _taps(width)

    def set_conv_weights(self, kernel: np.ndarray, bias: np.ndarray | None = None) -> None:
        """Takes a convolution's kernel (3, 3, A + B, filters) and its bias (filters,), if any."""
        beside, below = np.split(kernel, [self.kernel.shape[2]], axis=2)
        # Of a pixel's products, those of the left column come first.
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
        # One image at a time, as oneDNN shares out a batch of matrices among threads so that the
        # last digits of some depend on their place in it.
        x = ops.map(upsampled, products)
        return ops.conv(beside, self.kernel, padding="same") + self.bias + x


def _taps(size: int) -> np.ndarray:
    """The matrix (2 x size, size x 3) from products with three taps to what a convolution adds."""
    at = (np.arange(2 * size) + 0.5) / 2 - 0.5
    upsampling = np.stack([np.interp(at, np.arange(size), unit) for unit in np.eye(size)], axis=1)
    # Beyond the edges are zeros.
    padded = np.pad(upsampling, ((1, 1), (0, 0)))
    taps = np.stack([padded[tap : tap + 2 * size] for tap in range(3)], axis=2)
    return taps.reshape(2 * size, 3 * size).astype(np.float32)
