"""The networks against outputs of KerasCV and of the authors' PyTorch code."""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest

from model.convert import from_keras_cv, from_paper

DATA = Path(__file__).parent.parent / "data"


def keras_cv_weight(index, name, shape):
    """The weight that the golden outputs were computed with, by the rule of their README."""
    rng = np.random.default_rng([0, index])
    kind = name.rsplit("/", 1)[-1]
    if kind == "kernel":
        return rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[:3]))
    if kind == "gamma":
        return rng.uniform(0.5, 1.0, shape)
    if kind == "moving_variance":
        return rng.uniform(0.5, 1.5, shape)
    return 0.1 * rng.standard_normal(shape)


def paper_weight(name, shape):
    """Likewise for the authors' network."""
    rng = np.random.default_rng([0, zlib.crc32(name.encode())])
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape)
    if len(shape) == 4:
        return rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
    if name.endswith(".weight"):
        return rng.uniform(0.5, 1.0, shape)
    if name.endswith("running_var"):
        return rng.uniform(0.5, 1.5, shape)
    return 0.1 * rng.standard_normal(shape)


def layout(name):
    return json.loads((DATA / f"{name}_layout.json").read_text())


def paper_state():
    return {
        name: paper_weight(name, shape).astype("float32")
        for name, shape, _ in layout("paper_network")
    }


def keras_cv_weights(name):
    return [
        keras_cv_weight(index, key, shape).astype("float32")
        for index, (key, shape) in enumerate(layout(name))
    ]


@pytest.mark.parametrize("name", ["keras_cv_resnet18", "keras_cv_resnet34", "paper_network"])
def test_equals_the_published_network(name):
    paper = name == "paper_network"
    model = from_paper(paper_state()) if paper else from_keras_cv(keras_cv_weights(name))
    for golden in (np.load(DATA / f"{name}.npz"), np.load(DATA / f"{name}_96x32.npz")):
        outputs = model(golden["image"], training=False)
        assert len(outputs) == 8
        for number, output in enumerate(outputs):
            np.testing.assert_allclose(output, golden[f"output_{number}"], rtol=0, atol=1e-4)


def test_from_keras_cv_refuses_another_number_of_weights():
    with pytest.raises(ValueError, match=r"355 weights \(resnet18\) or 435.*got 3"):
        from_keras_cv([np.zeros(3)] * 3)


def test_from_keras_cv_names_the_misshaped_weight():
    weights = keras_cv_weights("keras_cv_resnet18")
    weights[0] = weights[0][..., :32]
    with pytest.raises(ValueError, match=r"stem_conv/kernel has shape \(3, 3, 3, 32\)"):
        from_keras_cv(weights)


def test_from_paper_names_what_is_wrong():
    state = paper_state()
    with pytest.raises(ValueError, match="entries that BASNet lacks: module.inconv.weight"):
        from_paper({**state, "module.inconv.weight": state["inconv.weight"]})
    with pytest.raises(ValueError, match=r"inconv.bias has shape \(3,\); BASNet needs \(64,\)"):
        from_paper({**state, "inconv.bias": np.zeros(3)})
    del state["refunet.conv_d0.bias"]
    with pytest.raises(ValueError, match="lack the entry refunet.conv_d0.bias"):
        from_paper(state)
