"""The list of a network's layers: the bundled one is that of the network as it is."""

import json

import keras
import pytest

from model.convert import main
from model.inference.layer_list import layer_list
from model.networks.basnet import BASNet
from model.presets import PRESETS


def test_the_bundled_list_is_that_of_the_network():
    listed = json.loads(PRESETS["basnet_mini"].layers.read_text())
    network = BASNet.from_preset("basnet_mini", load_weights=False)
    again = "python -m model.convert basnet_mini model/weights/basnet_mini.layers.json writes it"
    assert json.loads(json.dumps(layer_list(network))) == listed, again


def test_weights_are_named_as_keras_names_them_in_its_files(tmp_path):
    image = keras.Input((8, 8, 3))
    conv = keras.layers.Conv2D(1, 1, padding="same")
    head = keras.Sequential([conv, keras.layers.Activation("sigmoid")])
    x = keras.layers.Conv2D(4, 3, padding="same", use_bias=False)(image)
    x = keras.layers.ReLU(6)(keras.layers.BatchNormalization(epsilon=0.5)(x))
    first, second, last, sigmoid = layer_list(keras.Model(image, head(x)))
    assert first["weights"] == ["layers/conv2d/vars/0"] and first["inputs"] == [-1]
    assert first["norm"] == [f"layers/batch_normalization/vars/{n}" for n in range(4)]
    assert first["epsilon"] == 0.5 and not first["use_bias"]
    assert second == {"kind": "ReLU", "inputs": [0], "weights": [], "max_value": 6}
    assert last["inputs"] == [1] and sigmoid["inputs"] == [2]
    assert last["weights"] == [f"layers/sequential/layers/conv2d/vars/{n}" for n in range(2)]


@pytest.mark.parametrize(
    "layer",
    [
        keras.layers.Conv2D(1, 3, padding="valid", name="odd"),
        keras.layers.Conv2D(1, 3, padding="same", activation="sigmoid", name="odd"),
        keras.layers.UpSampling2D(interpolation="nearest", name="odd"),
        keras.layers.BatchNormalization(name="odd"),
        keras.layers.Dense(1, name="odd"),
    ],
    ids=["valid", "activation", "nearest", "alone", "dense"],
)
def test_a_layer_that_would_be_computed_otherwise_is_refused(layer):
    image = keras.Input((8, 8, 3))
    with pytest.raises(ValueError, match="layer odd, a .*, is none of those"):
        layer_list(keras.Model(image, layer(image)))


def test_the_command_refuses_what_has_no_weights(tmp_path, capsys):
    for source in ("basnet_resnet18", "photo.jpg"):
        with pytest.raises(SystemExit):
            main([source, str(tmp_path / "x.layers.json")])
        assert f"'{source}' is no preset with weights" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
