"""ONNX files as models: what the command takes, and what it says of the others."""

import json

import pytest

pytest.importorskip("openvino", reason="OpenVINO is not installed")
pytest.importorskip("onnx", reason="onnx is not installed")

from pipeline.annotate_images import AnnotateImages
from pipeline.storage.model_file import content_of_model
from tests.model.inference.onnx_files import CARD, SIZE, write_onnx
from tests.pipeline.checked import enter_folder, job, refused
from tests.pipeline.object_store import ObjectStore

MODEL = "--model=net.onnx"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    enter_folder(tmp_path, monkeypatch)
    write_onnx(tmp_path / "net.onnx")
    return tmp_path


def test_the_card_says_the_size_and_openvino_runs_it():
    found = job(MODEL)
    assert (found.image_size, found.engine, found.model) == (SIZE, "openvino", "net.onnx")
    assert job(MODEL, "--engine=openvino", f"--image_size={SIZE}") == found


def test_the_card_says_how_photos_are_resized(folder):
    assert job(MODEL).resize == "bilinear"
    (folder / "net.json").write_text(json.dumps(CARD | {"resize": "lanczos"}))
    assert job(MODEL).resize == "lanczos"
    assert AnnotateImages("net.onnx", engine="openvino").job.resize == "lanczos"


def test_another_card_is_another_model(folder):
    before = content_of_model("net.onnx")
    (folder / "net.json").write_text(json.dumps(CARD | {"divisor": 254}))
    assert content_of_model("net.onnx") != before


def test_what_cannot_be_is_refused(folder):
    assert refused(MODEL, "--image_size=64").endswith("says size 32, and not 64; leave it out")
    assert refused(MODEL, "--engine=keras").endswith("openvino does")
    assert refused(MODEL, "--precision=float16").endswith("leave out --precision float16")
    (folder / "net.json").write_text("{}")
    assert "does not say size, mean, scale, layout, output; one would" in refused(MODEL)
    (folder / "net.json").unlink()
    assert refused(MODEL).startswith("--model 'net.onnx' has no card 'net.json', which says")


def test_on_an_object_store_the_card_comes_with_its_file(folder, monkeypatch):
    names = {f"store://bucket/{name}": (folder / name) for name in ("net.onnx", "net.json")}
    files = {name: path.read_bytes() for name, path in names.items()}
    monkeypatch.setattr(ObjectStore, "files", files)
    found = job("--model=store://bucket/net.onnx")
    assert found.image_size == SIZE and found.model_content == content_of_model("net.onnx")
    del files["store://bucket/net.json"]
    assert "has no card 'store://bucket/net.json'" in refused("--model=store://bucket/net.onnx")
