import keras
import numpy as np
import pytest

from model.training.optimizer import TwoRateAdamW


def _trained(optimizer, variables, steps=4):
    optimizer.build(variables)
    rng = np.random.default_rng(1)
    for _ in range(steps):
        gradients = [
            keras.ops.convert_to_tensor(rng.normal(size=v.shape).astype("float32"))
            for v in variables
        ]
        optimizer.apply(gradients, variables)
    return [keras.ops.convert_to_numpy(variable) for variable in variables]


def _variables():
    rng = np.random.default_rng(0)
    shapes = {"encoder": (3, 4), "bridge": (5,), "decoder": (2, 3)}
    return [
        keras.Variable(rng.normal(size=shape).astype("float32"), name=name)
        for name, shape in shapes.items()
    ]


@pytest.mark.parametrize("share", [0.0, 0.1])
def test_both_rates_are_those_of_adamw(share):
    """Beside two optimizers of Keras' own, one for each rate."""
    variables = _variables()
    encoder, *others = _trained(TwoRateAdamW(1e-2, variables[:1], share), variables)
    slow = _trained(keras.optimizers.AdamW(1e-2 * share, weight_decay=0.0), _variables())
    plain = _trained(keras.optimizers.AdamW(1e-2), _variables())
    np.testing.assert_allclose(encoder, slow[0], rtol=1e-6)
    for ours, theirs in zip(others, plain[1:], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
