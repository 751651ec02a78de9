"""Batch normalisation by the fused kernels of TensorFlow and PyTorch, for training.

Keras computes it in several elementary operations, which on CPUs take a quarter of a training step
of BASNet. JAX fuses these itself.
"""

from __future__ import annotations

import keras
from keras import layers


def with_fused_normalization(model: keras.Model) -> keras.Model:
    """Copies a model so that it computes the same and trains faster.

    Args:
        model: A functional model.

    Returns:
        A model with the same weights, in variables of its own; on JAX the model itself.
    """
    if keras.backend.backend() not in ("tensorflow", "torch"):
        return model
    clone = keras.models.clone_model(model, clone_function=_fuse)
    copy_weights(model, clone)
    return clone


def copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Copies weights from one model to another, by the names of the layers.

    Args:
        source: The model with the weights.
        target: The model to change; every layer that has weights has its namesake in ``source``.
    """
    for layer in filter(lambda layer: layer.weights, target.layers):
        layer.set_weights(source.get_layer(layer.name).get_weights())


class FusedBatchNormalization(layers.BatchNormalization):
    """Batch normalisation over the last axis, by a fused kernel in training.

    It equals Keras' layer, except that the moving variance is unbiased, as in PyTorch.
    """

    def call(self, inputs, training=None, mask=None):
        """Maps (N, H, W, C) to the same shape; in training with the moments of the batch."""
        if not (training and self.trainable) or _is_one_value(inputs):
            return super().call(inputs, training=training, mask=mask)
        if keras.backend.backend() == "torch":
            return self._call_torch(inputs)
        import tensorflow as tf

        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs,
            tf.cast(self.gamma, "float32"),
            tf.cast(self.beta, "float32"),
            epsilon=self.epsilon,
            is_training=True,
        )
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + batch * (1.0 - self.momentum))
        return outputs

    def _call_torch(self, inputs):
        from torch.nn import functional

        outputs = functional.batch_norm(
            inputs.permute(0, 3, 1, 2),
            self.moving_mean.value,
            self.moving_variance.value,
            self.gamma.value.float(),
            self.beta.value.float(),
            training=True,
            momentum=1.0 - self.momentum,
            eps=self.epsilon,
        )
        return outputs.permute(0, 2, 3, 1)


def _is_one_value(inputs) -> bool:
    """Returns whether each channel has one value only, whose variance PyTorch refuses."""
    return keras.backend.backend() == "torch" and inputs.shape[:-1].numel() == 1


def _fuse(layer: layers.Layer) -> layers.Layer:
    fusable = type(layer) is layers.BatchNormalization and (
        layer.scale and layer.center and not (layer.renorm or layer.synchronized)
    )
    return (FusedBatchNormalization if fusable else type(layer)).from_config(layer.get_config())
