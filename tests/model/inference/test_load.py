import json
import pickle
import sys
import zipfile

import h5py
import keras
import numpy as np
import pytest

from model.inference.load import load_model
from model.networks.basnet import BASNet
from model.presets import PRESETS


@pytest.fixture(scope="module")
def mini():
    return BASNet.from_preset("basnet_mini")


def conv(filters=1):
    return keras.layers.Conv2D(filters, 1, activation="sigmoid")


def model(outputs):
    """A network of one input, whose outputs a function of it gives."""
    image = keras.Input((None, None, 3))
    return keras.Model(image, outputs(image))


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_loads_files(mini, tmp_path, suffix):
    path = str(tmp_path / f"mine{suffix}")
    mini.save(path) if suffix == ".keras" else mini.save_weights(path)
    images = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype("float32")
    found, expected = load_model(path)(images), mini(images)
    assert len(found) == 8
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "preset",
    [
        "basnet_mini",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("basnet_paper", "basnet_resnet18", "basnet_resnet34")
        ),
    ],
)
def test_loads_weights_of_each_preset_as_training_leaves_them(preset, tmp_path):
    network = BASNet.from_preset(preset, load_weights=False)
    network.compile("sgd", "mse")
    network.optimizer.build(network.trainable_variables)
    network.save_weights(tmp_path / "mine.weights.h5")
    found = load_model(str(tmp_path / "mine.weights.h5")).get_weights()
    for one, other in zip(found, network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_refuses_weights_of_other_layers_even_if_as_many(mini, tmp_path):
    path = tmp_path / "other.weights.h5"
    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False)])
    network.save_weights(path)
    with h5py.File(path, "a") as file:
        file["layers/dense/vars"].create_dataset("1", shape=(mini.count_params() - 2,))
    with pytest.raises(ValueError, match="fit none of the presets' networks"):
        load_model(str(path))


def test_refuses_other_files(tmp_path):
    with pytest.raises(ValueError, match=r"'model.onnx' is neither a preset \(basnet_mini\)"):
        load_model("model.onnx")
    with pytest.raises(ValueError, match="there is no file 'missing.keras'"):
        load_model("missing.keras")
    with pytest.raises(ValueError, match="'basnet_resnet34' has no weights"):
        load_model("basnet_resnet34")
    other = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    other.save_weights(tmp_path / "other.weights.h5")
    with pytest.raises(ValueError, match="fit none of the presets' networks; .* a .keras file"):
        load_model(str(tmp_path / "other.weights.h5"))


class Subclassed(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.conv = conv()

    def call(self, images):
        return self.conv(images)


class Unregistered(keras.layers.Layer):
    def call(self, images):
        return images[..., :1]


def archive(path, **changes):
    """Writes a good file with some parts replaced; None leaves a part out."""
    model(conv()).save(path)
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()} | changes
    with zipfile.ZipFile(path, "w") as file:
        for name, data in parts.items():
            if data is not None:
                file.writestr(name, data)


def cut(path, part):
    model(conv()).save(path)
    path.write_bytes(path.read_bytes()[part])


def one_byte_changed(path):
    model(conv()).save(path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def longer_than_there_is(path):
    archive(path)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("last", b"")
        info = file.getinfo("config.json")
        info.file_size = info.compress_size = 10**7


def of_torch(path):
    """A layer that imports PyTorch before Keras asks whether it may hold code."""
    wrapper = {"module": "keras.layers", "class_name": "TorchModuleWrapper", "config": {}}
    archive(path, **{"config.json": json.dumps(wrapper)})


def of_other_weights(path):
    keras.Sequential([keras.Input((None, None, 3)), conv(2)]).save(path)
    with zipfile.ZipFile(path) as file:
        archive(path, **{"model.weights.h5": file.read("model.weights.h5")})


def layer(path):
    archive(path, **{"config.json": json.dumps(keras.saving.serialize_keras_object(conv()))})


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: path.write_text("weights"), "it is no .keras file, or only a part of one"),
        (lambda path: path.write_bytes(b""), "it is no .keras file"),
        (lambda path: path.write_bytes(pickle.dumps({"weights": 1})), "it is no .keras file"),
        (lambda path: cut(path, slice(None, -100)), "only a part of one"),
        (lambda path: cut(path, slice(200, None)), "Keras does not load it: .*undamaged"),
        (one_byte_changed, "Bad CRC-32 for file"),
        (lambda path: archive(path, **{"config.json": None}), "no item named 'config.json'"),
        (lambda path: archive(path, **{"config.json": "[]"}), "list indices must be integers"),
        (lambda path: archive(path, **{"config.json": "{"}), "Expecting property name"),
        (lambda path: archive(path, **{"model.weights.h5": None}), "Expected a model.weights.h5"),
        (lambda path: archive(path, **{"model.weights.h5": b"x"}), "file signature not found"),
        (longer_than_there_is, "Keras does not load it: .*undamaged"),
        (of_torch, "Keras does not load it: .*torch"),
        (of_other_weights, "A total of 1 objects could not be loaded"),
        (layer, "it holds a Conv2D; a model would do"),
        (
            lambda path: model(Unregistered()).save(path),
            "Keras does not load it: Could not locate class 'Unregistered'.*Keras' own layers",
        ),
        (
            lambda path: Subclassed().save(path),
            "Keras does not load it: Could not locate class 'Subclassed'",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:You are saving a model that has not yet been built")
def test_refuses_broken_and_foreign_keras_files_in_a_line(write, message, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)  # As if PyTorch were not installed.
    path = tmp_path / "net.keras"
    write(path)
    with pytest.raises(ValueError, match=message) as caught:
        load_model(str(path))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_runs_no_code_from_a_file(tmp_path):
    witness = tmp_path / "witness"
    path = str(tmp_path / "net.keras")

    layer = keras.layers.Lambda(
        lambda images, file: (open(file, "w").close(), images[..., :1])[1],
        output_shape=(None, None, 1),
        arguments={"file": str(witness)},
    )
    model(layer).save(path)
    # The function does run if Keras is told to trust the file.
    keras.saving.load_model(path, safe_mode=False)(np.zeros((1, 4, 4, 3)))
    witness.unlink()
    with pytest.raises(ValueError, match="Keras does not load it: .*Lambda.*Keras' own") as caught:
        load_model(path)
    assert not witness.exists()
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_refuses_damaged_weights(tmp_path):
    path = tmp_path / "cut.weights.h5"
    path.write_bytes(PRESETS["basnet_mini"].weights.read_bytes()[:100_000])
    with pytest.raises(ValueError, match="cannot be read: .*truncated file.*; save or copy"):
        load_model(str(path))
