"""Networks with published weights, against outputs of KerasCV and of the authors' PyTorch code."""

import json

import numpy as np
import pytest

from model.networks.efficientnet import EfficientNetLite0
from model.published.assign import from_keras_cv, from_paper, give_lite0
from tests.published import DATA, keras_cv_weights, layout, lite0_state, paper_state


@pytest.mark.parametrize(
    "name",
    [
        "paper_network",
        pytest.param("keras_cv_resnet18", marks=pytest.mark.slow),
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
    # Of a ResNet-18 and one class.
    weights = [np.zeros((3, 3, 3, 32)), *[np.zeros(0)] * 353, np.zeros(1)]
    with pytest.raises(ValueError, match=r"stem_conv/kernel has shape \(3, 3, 3, 32\)"):
        from_keras_cv(weights)


def test_from_paper_names_what_is_wrong():
    # Entries are checked in order, so only the first needs its shape.
    state = {name: np.zeros(0) for name, _, _ in layout("paper_network")}
    state["inconv.weight"] = np.zeros((64, 3, 3, 3))
    for changed, message in [
        (
            {"inconv.weight": np.full((64, 3, 3, 3), np.inf)},
            "inconv.weight has values that are not",
        ),
        ({"fc.weight": np.zeros(0)}, "entries that the network lacks: fc.weight"),
    ]:
        with pytest.raises(ValueError, match=message):
            from_paper({**state, **changed})
    del state["refunet.conv_d0.bias"]
    with pytest.raises(ValueError, match="lack the entry refunet.conv_d0.bias"):
        from_paper(state)


@pytest.mark.slow
def test_from_keras_cv_names_what_is_wrong_in_a_file():
    recorded = json.loads((DATA / "keras_cv_resnet18_file.json").read_text())
    arrays = {entry: np.zeros(0) for entry, _, _ in recorded["entries"]}
    arrays["layers/sequential/layers/conv2d/vars/1"] = np.zeros(1)  # Of one class.
    stem = "layers/conv2d/vars/0"
    for changed, message in [
        ({stem: np.full((3, 3, 3, 64), np.nan)}, f"{stem} has values that are not finite"),
        ({stem: np.zeros((7, 7, 3, 64))}, rf"{stem} has shape \(7, 7, 3, 64\); the network needs"),
        ({"layers/dense/vars/0": np.zeros(1)}, "network lacks: layers/dense/vars/0"),
    ]:
        with pytest.raises(ValueError, match=message):
            from_keras_cv({**arrays, **changed})
    del arrays[stem]
    with pytest.raises(ValueError, match=f"lack the entry {stem}"):
        from_keras_cv(arrays)


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
