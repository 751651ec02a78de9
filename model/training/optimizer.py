"""AdamW with a lower learning rate for a pretrained encoder."""

from __future__ import annotations

from collections.abc import Sequence

import keras


class TwoRateAdamW(keras.optimizers.AdamW):
    """AdamW with a lower learning rate and no weight decay for some of the variables.

    The rate itself is scaled, since Adam's steps do not depend on the scale of the gradients.
    Weight decay would draw pretrained weights towards zero.

    Args:
        learning_rate: As for ``AdamW``.
        slow: The variables with the lower rate.
        share: Their share of the learning rate, in [0, 1).
        **kwargs: As for ``AdamW``.
    """

    def __init__(self, learning_rate, slow: Sequence[keras.Variable], share: float, **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.exclude_from_weight_decay(var_list=slow)
        self._slow = {self._var_key(variable) for variable in slow}
        self._share = share

    def update_step(self, gradient, variable, learning_rate):
        """Updates one variable, at its share of the learning rate.

        Args:
            gradient: Gradient of the variable.
            variable: The variable.
            learning_rate: The full learning rate.
        """
        share = self._share if self._var_key(variable) in self._slow else 1.0
        super().update_step(gradient, variable, learning_rate * share)
