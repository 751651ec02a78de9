"""Networks with published weights, against outputs of KerasCV and of the authors' PyTorch code."""

import numpy as np
import pytest

from model.networks.efficientnet import EfficientNetLite0
from model.published.assign import from_keras_cv, from_paper, give_lite0
from tests.published import DATA, keras_cv_weights, lite0_state, paper_state


@pytest.mark.parametrize(
    "name",
    [
        "keras_cv_resnet18",
        "paper_network",
        pytest.param("keras_cv_resnet34", marks=pytest.mark.slow),
    ],
)
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
    with pytest.raises(ValueError, match="entries that the network lacks: module.inconv.weight"):
        from_paper({**state, "module.inconv.weight": state["inconv.weight"]})
    with pytest.raises(
        ValueError, match=r"inconv.bias has shape \(3,\); the network needs \(64,\)"
    ):
        from_paper({**state, "inconv.bias": np.zeros(3)})
    del state["refunet.conv_d0.bias"]
    with pytest.raises(ValueError, match="lack the entry refunet.conv_d0.bias"):
        from_paper(state)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("_bn0.bias", None, "lack the entry _bn0.bias"),
        ("_blocks.3._expand_conv.weight", (2, 2), r"_blocks.3._expand_conv.weight has shape"),
        ("_blocks.3._se_reduce.weight", (6, 144, 1, 1), "lacks: _blocks.3._se_reduce.weight"),
    ],
)
def test_lite0_refuses_weights_of_another_network(name, shape, message):
    wrong = {key: array for key, array in lite0_state().items() if key != name}
    if shape is not None:
        wrong[name] = np.ones(shape, "float32")
    with pytest.raises(ValueError, match=message):
        give_lite0(EfficientNetLite0(), wrong)
