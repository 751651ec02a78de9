"""AdamW that trains a pretrained encoder more slowly than what is new around it."""

from __future__ import annotations

from collections.abc import Sequence

import keras


class TwoRateAdamW(keras.optimizers.AdamW):
    """AdamW with a lower learning rate, and no decay, for some of the variables.

    A factor on their gradients would do nothing: the steps of Adam do not depend on the scale of
    gradients. Weights that are to stay near those they start from are not drawn towards zero.

    Args:
        learning_rate: as for AdamW.
        slow: the variables of the lower rate.
        share: their share of the learning rate, in [0, 1).
        **kwargs: as for AdamW.
    """

    def __init__(self, learning_rate, slow: Sequence[keras.Variable], share: float, **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.exclude_from_weight_decay(var_list=slow)
        self._slow = {self._var_key(variable) for variable in slow}
        self._share = share

    def update_step(self, gradient, variable, learning_rate):
        """Changes one variable, by its share of the learning rate."""
        share = self._share if self._var_key(variable) in self._slow else 1.0
        super().update_step(gradient, variable, learning_rate * share)
