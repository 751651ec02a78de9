"""Files of published weights, converted by the command, against the originals' outputs."""

import contextlib
import json
import pickle
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from PIL import Image

from model.convert import IMAGENET_DEVIATION, IMAGENET_MEAN, _write, main
from model.networks.basnet import OUTPUT_NAMES
from model.published.read import read_paper, scaling_of
from tests.published import DATA, layout, write_keras_cv, write_paper

ROOT = Path(__file__).parents[2]


def refusal(capsys, source, destination):
    """The one line that the command gives, after which nothing was written."""
    before = sorted(Path(destination).parent.glob("*"))
    with pytest.raises(SystemExit) as stop:
        main([str(source), str(destination)])
    assert stop.value.code == 2
    captured = capsys.readouterr()
    assert not captured.out
    message = captured.err.removeprefix("python -m model.convert: ")
    assert len(message.splitlines()) == 1
    assert sorted(Path(destination).parent.glob("*")) == before
    return message


def check_plain(model):
    """The file needs nothing but Keras, and has one level of layers besides the heads."""
    assert type(model) is type(keras.Model(model.inputs, model.outputs))
    assert model.input_shape == (None, None, None, 3)
    assert model.output_names == list(OUTPUT_NAMES)
    for layer in model.layers:
        assert type(layer).__module__.startswith("keras.")
        assert isinstance(layer, keras.Sequential) or not isinstance(layer, keras.Model)


def check_golden(model, name, pixels):
    """All outputs for the image of a golden file, given as pixels."""
    golden = np.load(DATA / f"{name}.npz")
    outputs = model(pixels(golden["image"]).astype("float32"), training=False)
    for number, output in enumerate(outputs):
        np.testing.assert_allclose(output, golden[f"output_{number}"], rtol=0, atol=1e-4)


@pytest.mark.slow
def test_the_authors_file(tmp_path):
    pytest.importorskip("torch")
    source, destination = tmp_path / "basnet.pth", tmp_path / "basnet.keras"
    write_paper(source)
    command = [sys.executable, "-m", "model.convert", str(source), str(destination)]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    source.unlink()
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout == f"{destination}: 87,104,904 parameters, pixels from 0 to 255\n"
    assert list(tmp_path.iterdir()) == [destination]

    model = keras.saving.load_model(destination, compile=False)
    destination.unlink()
    check_plain(model)
    mean, deviation = np.array(IMAGENET_MEAN), np.array(IMAGENET_DEVIATION)
    check_golden(model, "paper_network", lambda image: (image * deviation + mean) * 255)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "suffix"), [("keras_cv_resnet18", ".keras"), ("keras_cv_resnet34", ".weights.h5")]
)
def test_files_of_keras_cv(tmp_path, capsys, name, suffix):
    source, destination = tmp_path / f"theirs{suffix}", tmp_path / "ours.keras"
    write_keras_cv(name, source)
    main([str(source), str(destination)])
    source.unlink()
    assert capsys.readouterr().out.endswith(" parameters, pixels from 0 to 255\n")
    model = keras.saving.load_model(destination, compile=False)
    destination.unlink()
    check_plain(model)
    check_golden(model, name, lambda image: image * 255)


def keras_hub_segmenter(**converter):
    """A BASNet of KerasHub, as narrow as it can be, with random weights."""
    keras_hub = pytest.importorskip("keras_hub")
    encoder = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 16, 16, 24],
        stackwise_num_blocks=[1, 1, 2, 1],
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="basic_block",
    )
    backbone = keras_hub.models.BASNetBackbone(image_encoder=encoder, num_classes=1)
    rng = np.random.default_rng(0)
    for weight in backbone.weights:
        kind, shape = weight.path.rsplit("/", 1)[-1], weight.shape
        if kind == "kernel":
            weight.assign(rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[:3])))
        elif kind in ("gamma", "moving_variance"):
            weight.assign(rng.uniform(0.5, 1.0, shape))
        else:
            weight.assign(0.1 * rng.standard_normal(shape))
    image_converter = keras_hub.layers.BASNetImageConverter(**converter) if converter else None
    preprocessor = keras_hub.models.BASNetPreprocessor(image_converter=image_converter)
    return keras_hub.models.BASNetImageSegmenter(backbone=backbone, preprocessor=preprocessor)


@pytest.mark.slow
def test_a_preset_of_keras_hub(tmp_path, capsys):
    segmenter = keras_hub_segmenter(scale=[0.004, 0.005, 0.006], offset=[-0.1, 0.2, 0.3])
    segmenter.save_to_preset(tmp_path / "preset")
    weights = tmp_path / "preset" / "model.weights.h5"
    whole = weights.read_bytes()
    with h5py.File(weights, "a") as file:
        file["layers/extra/vars/0"] = np.zeros(3, "float32")
    message = refusal(capsys, tmp_path / "preset", tmp_path / "basnet.keras")
    assert re.search(
        r"weights.h5 holds [\d,]+ numbers, the network of .*config.json [\d,]+", message
    )
    weights.write_bytes(whole[: len(whole) // 2])
    message = refusal(capsys, tmp_path / "preset", tmp_path / "basnet.keras")
    assert "is no preset that KerasHub can load" in message
    weights.write_bytes(whole)
    main([str(tmp_path / "preset"), str(tmp_path / "basnet.keras")])
    shutil.rmtree(tmp_path / "preset")
    model = keras.saving.load_model(tmp_path / "basnet.keras", compile=False)
    (tmp_path / "basnet.keras").unlink()
    check_plain(model)
    pixels = np.random.default_rng(1).integers(0, 256, (2, 32, 64, 3)).astype("float32")
    # What segmenter.predict does, which gives the first of these alone.
    theirs = segmenter.backbone.predict(segmenter.preprocessor(pixels), verbose=0)
    for output, their in zip(model(pixels, training=False), theirs.values(), strict=True):
        assert their.std() > 0.005
        np.testing.assert_allclose(output, their, rtol=0, atol=1e-4)


def test_scaling_of_a_preset_without_its_own():
    keras_hub = pytest.importorskip("keras_hub")
    preprocessor = keras_hub.models.BASNetPreprocessor()
    assert scaling_of(preprocessor) == scaling_of(None) == (1 / 255, 0)
    preprocessor.image_converter = keras_hub.layers.BASNetImageConverter()
    assert scaling_of(preprocessor) == (1 / 255, 0)
    preprocessor.image_converter = keras_hub.layers.BASNetImageConverter(offset=-127.5)
    assert scaling_of(preprocessor) == (1, -127.5)


def test_presets_that_keras_hub_cannot_load(tmp_path, capsys):
    pytest.importorskip("keras_hub")
    destination = tmp_path / "basnet.keras"
    message = refusal(capsys, "basnet_of_nobody", destination)
    assert "basnet_of_nobody is no preset that KerasHub can load from disk or download" in message
    message = refusal(capsys, "kaggle://nobody/nothing/keras/nothing", destination)
    assert "is no preset that KerasHub can load from disk or download" in message
    (tmp_path / "preset").mkdir()
    message = refusal(capsys, tmp_path / "preset", destination)
    assert "a folder without a KerasHub preset: it has no config.json" in message
    (tmp_path / "preset" / "config.json").write_text('{"class_name": "Dense"}')
    assert "is no preset that" in refusal(capsys, tmp_path / "preset", destination)


@pytest.mark.parametrize("zipped", [True, False])
def test_both_formats_of_pytorch_and_the_prefix_of_data_parallel(tmp_path, zipped):
    torch = pytest.importorskip("torch")
    state = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.num_batches_tracked": torch.tensor(5)}
    for prefix in ("", "module."):
        path = tmp_path / f"{prefix}state.pth"
        named = {prefix + name: tensor for name, tensor in state.items()}
        torch.save(named, path, _use_new_zipfile_serialization=zipped)
        arrays = read_paper(path)
        assert arrays.keys() == state.keys()
        np.testing.assert_array_equal(arrays["a.weight"], [[0, 1, 2], [3, 4, 5]])


class Attack:
    """Unpickled by a reader that runs code, this creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("kind", ["zip", "legacy", "pickle"])
def test_code_in_a_file_is_refused_and_does_not_run(tmp_path, capsys, kind):
    torch = pytest.importorskip("torch")
    source, harm = tmp_path / "basnet.pth", tmp_path / "harm"
    state = {"inconv.weight": Attack(harm)}
    if kind == "pickle":
        source.write_bytes(pickle.dumps(state, protocol=2))
    else:
        torch.save(state, source, _use_new_zipfile_serialization=kind == "zip")
    assert "could run code and is refused" in refusal(capsys, source, tmp_path / "basnet.keras")
    assert not harm.exists()
    with contextlib.suppress(RuntimeError):  # It would have worked, as little as it then gives.
        torch.load(source, weights_only=False)
    assert harm.exists()


def test_damaged_and_other_pytorch_files_are_refused(tmp_path, capsys):
    torch = pytest.importorskip("torch")
    source, destination = tmp_path / "basnet.pth", tmp_path / "basnet.keras"
    torch.save({"a": torch.zeros(1000)}, source)
    source.write_bytes(source.read_bytes()[:2000])
    assert "cannot be read as PyTorch weights" in refusal(capsys, source, destination)
    source.write_text("no weights")
    assert "cannot be read as PyTorch weights" in refusal(capsys, source, destination)
    source.write_bytes(b"")
    assert "cannot be read as PyTorch weights" in refusal(capsys, source, destination)
    torch.save([torch.zeros(1)], source)
    assert "holds a list, not tensors by their names" in refusal(capsys, source, destination)
    torch.save({"model": {}, "epoch": 3}, source)
    assert "holds more than tensors by their names: 'model'" in refusal(capsys, source, destination)


@pytest.mark.parametrize("kind", ["meta", "complex", "repeated", "sparse"])
def test_tensors_that_are_no_arrays_of_numbers_are_refused(tmp_path, capsys, kind):
    torch = pytest.importorskip("torch")
    tensor = {
        "meta": lambda: torch.zeros(2, device="meta"),
        "complex": lambda: torch.zeros(2, dtype=torch.complex64),
        "repeated": lambda: torch.zeros(1).expand(10**12),
        "sparse": lambda: torch.zeros(2).to_sparse(),
    }[kind]()
    source = tmp_path / "basnet.pth"
    torch.save({"inconv.weight": tensor}, source)
    message = refusal(capsys, source, tmp_path / "basnet.keras")
    assert "holds inconv.weight as no plain tensor of real numbers" in message


def test_entries_of_the_authors_file_are_named(tmp_path, capsys):
    torch = pytest.importorskip("torch")
    source, destination = tmp_path / "basnet.pth", tmp_path / "basnet.keras"
    # Entries are checked in order, so only the first need have its shape.
    state = {name: torch.zeros(0) for name, _, _ in layout("paper_network")}
    state["inconv.weight"] = torch.full((64, 3, 3, 3), torch.inf)
    for changed, message in [
        ({}, "inconv.weight has values that are not finite"),
        ({"fc.weight": torch.zeros(0)}, "entries that the network lacks: fc.weight"),
    ]:
        torch.save({**state, **changed}, source)
        assert message in refusal(capsys, source, destination)
    del state["refunet.conv_d0.bias"]
    torch.save(state, source)
    assert "lack the entry refunet.conv_d0.bias" in refusal(capsys, source, destination)


def write_small_keras_cv(path, **changed):
    """A file with the entries of KerasCV's BASNet, all of them empty but those given."""
    recorded = json.loads((DATA / "keras_cv_resnet18_file.json").read_text())
    with h5py.File(path, "w") as file:
        for entry in {entry for entry, _, _ in recorded["entries"]} | changed.keys():
            if changed.get(entry, 0) is not None:
                file[entry] = changed.get(entry, np.zeros(0, "float32"))


@pytest.mark.slow
def test_entries_of_files_of_keras_cv_are_named(tmp_path, capsys):
    source, destination = tmp_path / "basnet.weights.h5", tmp_path / "basnet.keras"
    stem, head = "layers/conv2d/vars/0", "layers/sequential/layers/conv2d/vars/1"
    one_class = {head: np.zeros(1, "float32")}
    for changed, message in [
        ({stem: np.full((3, 3, 3, 64), np.nan)}, f"{stem} has values that are not finite"),
        ({stem: np.zeros((7, 7, 3, 64))}, f"{stem} has shape (7, 7, 3, 64); the network needs"),
        ({stem: np.array([b"code"])}, f"{stem} holds |S4, not floating-point numbers"),
        ({stem: None}, f"lack the entry {stem}"),
        (
            {"layers/dense/vars/0": np.zeros(1)},
            "entries that the network lacks: layers/dense/vars/0",
        ),
    ]:
        write_small_keras_cv(source, **one_class, **changed)
        assert message in refusal(capsys, source, destination)


def test_arrays_that_lie_elsewhere_or_claim_too_much_are_refused(tmp_path, capsys):
    source, other = tmp_path / "basnet.weights.h5", tmp_path / "secret"
    other.write_bytes(bytes(12))
    for write, message in [
        (
            lambda layers: layers.create_dataset(
                "a", (3,), "float32", external=[(str(other), 0, 12)]
            ),
            "layers/a has its numbers in another file",
        ),
        (
            lambda layers: layers.create_virtual_dataset("a", h5py.VirtualLayout((3,), "float32")),
            "layers/a has its numbers in another file",
        ),
        (
            lambda layers: layers.create_dataset("a", (10**12,), "float32", compression="gzip"),
            "layers/a takes 4,000,000,000,000 bytes",
        ),
    ]:
        with h5py.File(source, "w") as file:
            write(file.create_group("layers"))
        assert message in refusal(capsys, source, tmp_path / "basnet.keras")

    source = tmp_path / "basnet.keras"
    with zipfile.ZipFile(source, "w") as archive:
        archive.writestr("config.json", json.dumps({"registered_name": "keras_cv>BASNet"}))
        archive.writestr("model.weights.h5", b"")
        archive.getinfo("model.weights.h5").file_size = 10**12
    message = refusal(capsys, source, tmp_path / "new.keras")
    assert "its weights take 1,000,000,000,000 bytes" in message


def test_other_models_and_damaged_files_are_refused(tmp_path, capsys):
    destination = tmp_path / "basnet.keras"
    other = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)], name="other")
    for suffix in (".keras", ".weights.h5"):
        source = tmp_path / f"other{suffix}"
        other.save(source) if suffix == ".keras" else other.save_weights(source)
        message = refusal(capsys, source, destination)
        assert ("holds a model 'Sequential'" if suffix == ".keras" else "lacks") in message
        source.write_bytes(source.read_bytes()[:3000])
        assert "is no file of KerasCV's BASNet" in refusal(capsys, source, destination)
        source.write_text("no weights")
        assert "is no file of KerasCV's BASNet" in refusal(capsys, source, destination)
    with zipfile.ZipFile(tmp_path / "empty.keras", "w") as archive:
        archive.writestr("config.json", "[]")
    assert "is no file of" in refusal(capsys, tmp_path / "empty.keras", destination)


def test_more_classes_than_one_are_refused(tmp_path, capsys):
    source = tmp_path / "classes.weights.h5"
    write_small_keras_cv(source, **{"layers/sequential/layers/conv2d/vars/1": np.zeros(2)})
    message = refusal(capsys, source, tmp_path / "basnet.keras")
    assert "has 2 classes; the pipeline needs a network with one" in message


def test_nothing_is_left_of_a_file_that_cannot_be_written(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    (tmp_path / "folder.keras").mkdir()  # No file can take its place.
    with pytest.raises(OSError):
        _write(model, tmp_path / "folder.keras")
    assert [path.name for path in tmp_path.iterdir()] == ["folder.keras"]


def test_wrong_names_are_refused_before_anything_is_read(tmp_path, capsys):
    there = tmp_path / "there.keras"
    there.write_bytes(b"mine")
    assert f"{there} exists" in refusal(capsys, "basnet.pth", there)
    assert there.read_bytes() == b"mine"
    assert "must end in .keras" in refusal(capsys, "basnet.pth", tmp_path / "basnet.h5")
    destination = tmp_path / "new.keras"
    assert "there is no folder" in refusal(capsys, "basnet.pth", tmp_path / "no" / "new.keras")
    assert "no file or folder basnet.pth" in refusal(capsys, "basnet.pth", destination)
    assert "no file or folder no/preset" in refusal(capsys, "no/preset", destination)
    Image.new("RGB", (4, 4)).save(tmp_path / "photo.png")
    message = refusal(capsys, tmp_path / "photo.png", destination)
    assert "photo.png is none of .pth, .weights.h5 and .keras" in message


@pytest.mark.parametrize(
    ("library", "source", "extra"),
    [("torch", "basnet.pth", "torch"), ("keras_hub", "basnet_duts", "hub")],
)
def test_a_missing_library_is_named(tmp_path, capsys, monkeypatch, library, source, extra):
    monkeypatch.setitem(sys.modules, library, None)  # importing it raises
    monkeypatch.chdir(tmp_path)
    Path("basnet.pth").write_bytes(b"")
    message = refusal(capsys, source, tmp_path / "basnet.keras")
    assert f"pip install '.[{extra}]'" in message
