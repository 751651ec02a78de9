"""Model files and presets: which the command takes, and what it says of the others."""

from dataclasses import replace

import keras
import pytest

from model import presets
from model.precision import dtype_of
from pipeline.job_settings import Job
from pipeline.storage.journal_files import changes, identity, start
from pipeline.storage.model_file import content_of_model
from tests.pipeline.checked import enter_folder, job, refused
from tests.pipeline.object_store import ObjectStore


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder with one file of each kind, to run the command in."""
    enter_folder(tmp_path, monkeypatch)
    return tmp_path


def save(path, activation="sigmoid", shape=(None, None, 3)):
    """Writes a network of one layer."""
    image = keras.Input(shape)
    keras.Model(image, keras.layers.Conv2D(1, 1, activation=activation)(image)).save(path)


def test_flags_become_the_job(folder):
    save(folder / "net.keras")
    found = job(
        *("--input", "in/*.jpg", "in", "--input_format=images", "--truth", "truth"),
        *("--output=out", "--model", "net.keras", "--image_size=64", "--batch_size", "3"),
        *("--tta=flip", "--precision=auto", "--threshold", "0.25", "--max_failure_rate=1"),
        "--require_gpu",
    )
    assert found == Job(
        output="out",
        inputs=("in/*.jpg", "in"),
        input_format="images",
        truth="truth",
        model="net.keras",
        image_size=64,
        batch_size=3,
        tta="flip",
        precision=dtype_of("auto"),
        require_gpu=True,
        threshold=0.25,
        model_content=content_of_model("net.keras"),
    )


def test_auto_is_stored_as_what_it_became_so_that_other_hardware_is_told():
    first = job("--precision=auto")
    assert identity(first)["precision"] == dtype_of("auto")
    start(replace(first, precision="float16"))
    assert changes(first) == [f"precision was float16, is {dtype_of('auto')}"]


def test_auto_is_refused_where_other_machines_compute(monkeypatch):
    monkeypatch.setattr(ObjectStore, "files", {"store://bucket/in/a.jpg": b"x"})
    flags = ("--runner=PortableRunner", "--input=store://bucket/in", "--output=store://bucket/out")
    message = refused(*flags, "--precision=auto")
    assert message.startswith("--precision auto would be decided by this machine")
    assert "give bfloat16 if" in message and "else float32" in message
    assert job(*flags).precision == "float32"
    assert job(*flags).hints == ("min_ram=2560MiB",) and job().hints == ()


def test_other_weights_of_a_preset_are_another_model(folder, monkeypatch):
    start(job())
    (folder / "other.h5").write_bytes(b"retrained")
    preset = replace(presets.PRESETS["basnet_mini"], weights=folder / "other.h5")
    monkeypatch.setitem(presets.PRESETS, "basnet_mini", preset)
    (change,) = changes(job("--resume"))
    assert change.startswith("model_content was ")


def test_presets_with_weights_are_models():
    for name, preset in presets.PRESETS.items():
        if preset.weights:
            assert job("--model", name).model == name


def test_a_keras_file_of_a_network_is_a_model(folder):
    save(folder / "net.keras")
    assert job("--model=net.keras", "--image_size=32").model == "net.keras"


@pytest.mark.slow
def test_a_weights_file_of_a_presets_network_is_a_model(folder):
    weights = presets.PRESETS["basnet_mini"].weights.read_bytes()
    (folder / "net.weights.h5").write_bytes(weights)
    found = job("--model=net.weights.h5", "--image_size=32", "--batch_size=1")
    assert found.model == "net.weights.h5"


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        ({"activation": None}, "if these are logits, add a sigmoid"),
        (
            {"shape": (64, 64, 3)},
            "the model takes (64, 64, 3); images are (32, 32, 3); an image_size of 64 would do",
        ),
    ],
)
def test_a_file_that_is_no_network_for_the_images_is_refused(folder, network, reason):
    save(folder / "net.keras", **network)
    message = refused("--model=net.keras", "--image_size=32")
    assert message.startswith("--model 'net.keras' cannot be used: the model")
    assert message.endswith(reason)
    assert "\n" not in message


def test_a_file_is_tried_in_the_precision_of_the_job(folder):
    image = keras.Input((None, None, 3))
    # Up to 255,000, which is infinite in float16.
    large = keras.layers.Conv2D(1, 1, kernel_initializer=keras.initializers.Constant(1000))(image)
    zero = keras.layers.Subtract()([large, large])
    outputs = keras.layers.Activation("sigmoid")(zero)
    keras.Model(image, outputs).save(folder / "net.keras")
    assert job("--model=net.keras").precision == "float32"
    assert "not finite" in refused("--model=net.keras", "--precision=float16")


def test_a_model_on_an_object_store_is_checked_as_one_on_this_machine(folder, monkeypatch):
    model = "store://bucket/net.keras"
    save(folder / "net.keras")
    monkeypatch.setattr(ObjectStore, "files", {model: (folder / "net.keras").read_bytes()})
    assert job("--model", model).model == model
    save(folder / "net.keras", activation=None)
    ObjectStore.files[model] = (folder / "net.keras").read_bytes()
    assert "add a sigmoid" in refused("--model", model)
    ObjectStore.files[model] = b"x"
    assert refused("--model", model).startswith(f"--model '{model}' cannot be used: it is no")
