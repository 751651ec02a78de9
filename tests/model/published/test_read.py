"""Published files of weights: what is read from them, and what is refused."""

import contextlib
import json
import pickle
import zipfile

import h5py
import keras
import numpy as np
import pytest

from model.published.read import read_keras_cv, read_paper, scaling_of


def refusal(read, source):
    """The message of the error that a reader raises."""
    with pytest.raises(ValueError) as caught:
        read(source)
    return str(caught.value)


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
def test_code_in_a_file_is_refused_and_does_not_run(tmp_path, kind):
    torch = pytest.importorskip("torch")
    source, harm = tmp_path / "basnet.pth", tmp_path / "harm"
    state = {"inconv.weight": Attack(harm)}
    if kind == "pickle":
        source.write_bytes(pickle.dumps(state, protocol=2))
    else:
        torch.save(state, source, _use_new_zipfile_serialization=kind == "zip")
    assert "could run code and is refused" in refusal(read_paper, source)
    assert not harm.exists()
    with contextlib.suppress(RuntimeError):  # It would have worked, as little as it then gives.
        torch.load(source, weights_only=False)
    assert harm.exists()


def test_damaged_and_other_pytorch_files_are_refused(tmp_path):
    torch = pytest.importorskip("torch")
    source = tmp_path / "basnet.pth"
    torch.save({"a": torch.zeros(1000)}, source)
    source.write_bytes(source.read_bytes()[:2000])
    assert "cannot be read as PyTorch weights" in refusal(read_paper, source)
    source.write_text("no weights")
    assert "cannot be read as PyTorch weights" in refusal(read_paper, source)
    source.write_bytes(b"")
    assert "cannot be read as PyTorch weights" in refusal(read_paper, source)
    torch.save([torch.zeros(1)], source)
    assert "holds a list, not tensors by their names" in refusal(read_paper, source)
    torch.save({"model": {}, "epoch": 3}, source)
    assert "holds more than tensors by their names: 'model'" in refusal(read_paper, source)


@pytest.mark.parametrize("kind", ["meta", "complex", "repeated", "sparse"])
def test_tensors_that_are_no_arrays_of_numbers_are_refused(tmp_path, kind):
    torch = pytest.importorskip("torch")
    tensor = {
        "meta": lambda: torch.zeros(2, device="meta"),
        "complex": lambda: torch.zeros(2, dtype=torch.complex64),
        "repeated": lambda: torch.zeros(1).expand(10**12),
        "sparse": lambda: torch.zeros(2).to_sparse(),
    }[kind]()
    source = tmp_path / "basnet.pth"
    torch.save({"inconv.weight": tensor}, source)
    message = refusal(read_paper, source)
    assert "holds inconv.weight as no plain tensor of real numbers" in message


def test_scaling_of_a_preset_without_its_own():
    keras_hub = pytest.importorskip("keras_hub")
    preprocessor = keras_hub.models.BASNetPreprocessor()
    assert scaling_of(preprocessor) == scaling_of(None) == (1 / 255, 0)
    preprocessor.image_converter = keras_hub.layers.BASNetImageConverter()
    assert scaling_of(preprocessor) == (1 / 255, 0)
    preprocessor.image_converter = keras_hub.layers.BASNetImageConverter(offset=-127.5)
    assert scaling_of(preprocessor) == (1, -127.5)


def test_arrays_that_lie_elsewhere_or_claim_too_much_are_refused(tmp_path):
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
        (lambda layers: layers.create_dataset("a", data=b"code"), "layers/a holds object, not"),
        (
            lambda layers: layers.create_dataset("a", (10**12,), "float32", compression="gzip"),
            "layers/a takes 4,000,000,000,000 bytes",
        ),
    ]:
        with h5py.File(source, "w") as file:
            write(file.create_group("layers"))
        assert message in refusal(read_keras_cv, source)

    source = tmp_path / "basnet.keras"
    with zipfile.ZipFile(source, "w") as archive:
        archive.writestr("config.json", json.dumps({"registered_name": "keras_cv>BASNet"}))
        archive.writestr("model.weights.h5", b"")
        archive.getinfo("model.weights.h5").file_size = 10**12
    message = refusal(read_keras_cv, source)
    assert "its weights take 1,000,000,000,000 bytes" in message


def test_other_models_and_damaged_files_are_refused(tmp_path):
    other = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)], name="other")
    for suffix in (".keras", ".weights.h5"):
        source = tmp_path / f"other{suffix}"
        if suffix == ".keras":
            other.save(source)
            assert "holds a model 'Sequential'" in refusal(read_keras_cv, source)
        else:
            other.save_weights(source)
        source.write_bytes(source.read_bytes()[:3000])
        assert "is no file of KerasCV's BASNet" in refusal(read_keras_cv, source)
        source.write_text("no weights")
        assert "is no file of KerasCV's BASNet" in refusal(read_keras_cv, source)
    with zipfile.ZipFile(tmp_path / "empty.keras", "w") as archive:
        archive.writestr("config.json", "[]")
    assert "is no file of" in refusal(read_keras_cv, tmp_path / "empty.keras")
