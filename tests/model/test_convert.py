"""Files of published weights, converted by the command, against the originals' outputs."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from PIL import Image

from model.convert import IMAGENET_DEVIATION, IMAGENET_MEAN, main
from model.networks.basnet import OUTPUT_NAMES
from tests.published import DATA, write_keras_cv, write_paper

ROOT = Path(__file__).parents[2]


def refusal(capsys, source, destination):
    """Runs the command and returns its one line of error; checks that nothing was written."""
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
    """Checks that a model has plain Keras layers only, nested in nothing but the heads."""
    assert type(model) is type(keras.Model(model.inputs, model.outputs))
    assert model.input_shape == (None, None, None, 3)
    assert model.output_names == list(OUTPUT_NAMES)
    for layer in model.layers:
        assert type(layer).__module__.startswith("keras.")
        assert isinstance(layer, keras.Sequential) or not isinstance(layer, keras.Model)


def check_golden(model, name, pixels):
    """Checks all outputs for the image of a golden file."""
    golden = np.load(DATA / f"{name}.npz")
    outputs = model(pixels(golden["image"]).astype("float32"), training=False)
    for number, output in enumerate(outputs):
        np.testing.assert_allclose(output, golden[f"output_{number}"], rtol=0, atol=1e-4)


@pytest.mark.slow
def test_the_authors_file_is_converted(tmp_path):
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
def test_files_of_keras_cv_are_converted(tmp_path, capsys, name, suffix):
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
def test_a_preset_of_keras_hub_is_converted(tmp_path, capsys):
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


def test_more_classes_than_one_are_refused(tmp_path, capsys):
    source = tmp_path / "classes.weights.h5"
    with h5py.File(source, "w") as file:
        file["layers/sequential/layers/conv2d/vars/1"] = np.zeros(2)
    message = refusal(capsys, source, tmp_path / "basnet.keras")
    assert "has 2 classes; the pipeline needs a network with one" in message


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
