"""What runs the network, decided before the job starts."""

import importlib.util
import sys
from dataclasses import replace

import pytest

from model.presets import PRESETS
from pipeline.command import choose_engine
from pipeline.command.choose_engine import decided_engine, decided_precision
from pipeline.job_settings import Job
from pipeline.output_layout import JOURNAL, JOURNAL_HEAD
from pipeline.storage.journal_files import changes, start
from tests.pipeline.checked import enter_folder, job, refused

MINI = Job("out")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    enter_folder(tmp_path, monkeypatch)
    return tmp_path


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    """OpenVINO is there, as far as the decision goes, and no GPU."""
    monkeypatch.setattr(choose_engine, "_is_installed", lambda: True)
    monkeypatch.setattr(choose_engine, "_has_gpu", lambda: False)


def test_auto_takes_openvino_for_a_network_that_it_reads_alone(folder):
    assert decided_engine("auto", MINI, None) == "openvino"
    (folder / "own.weights.h5").write_bytes(PRESETS["basnet_mini"].weights.read_bytes())
    assert decided_engine("auto", replace(MINI, model="own.weights.h5"), None) == "openvino"


@pytest.mark.parametrize(
    "other",
    [
        {"model": "net.keras"},
        {"model": "net.weights.h5"},  # Of no network.
        {"precision": "float16"},
        {"require_gpu": True},
    ],
)
def test_auto_takes_keras_for_what_needs_it(other):
    assert decided_engine("auto", replace(MINI, **other), None) == "keras"


@pytest.mark.parametrize("name", ["_is_installed", "_has_gpu"])
def test_auto_takes_keras_on_a_machine_that_it_is_for(monkeypatch, name):
    monkeypatch.setattr(choose_engine, name, lambda: name == "_has_gpu")
    assert decided_engine("auto", MINI, None) == "keras"


@pytest.mark.parametrize("engine", ["keras", "openvino"])
def test_auto_goes_on_with_the_engine_of_a_resumed_job(folder, monkeypatch, engine):
    start(replace(MINI, output=str(folder / "out"), engine=engine))
    resumed = replace(MINI, output=str(folder / "out"), resume=True)
    # A GPU that came meanwhile changes nothing.
    monkeypatch.setattr(choose_engine, "_has_gpu", lambda: engine == "openvino")
    assert decided_engine("auto", resumed, None) == engine
    assert decided_engine("auto", resumed, "DataflowRunner") == "keras"
    assert decided_engine("openvino", resumed, None) == "openvino"
    assert decided_engine("keras", resumed, None) == "keras"


def test_without_an_earlier_run_a_resume_changes_nothing(folder):
    resumed = replace(MINI, output=str(folder / "out"), resume=True)
    assert decided_engine("auto", resumed, None) == "openvino"
    (folder / "out" / JOURNAL).mkdir(parents=True)
    (folder / "out" / JOURNAL / JOURNAL_HEAD).write_text("{")
    assert decided_engine("auto", resumed, None) == "openvino"


def test_auto_takes_keras_where_other_machines_compute():
    assert decided_engine("auto", MINI, "DataflowRunner") == "keras"
    assert decided_engine("openvino", MINI, "DataflowRunner") == "openvino"


def test_openvino_is_refused_where_it_is_missing_or_cannot_compute(monkeypatch):
    assert refused("--engine=openvino", "--require_gpu").endswith("leave out --require_gpu")
    assert refused("--engine=openvino", "--precision=float16").endswith("--precision float16")
    monkeypatch.setattr(choose_engine, "_is_installed", lambda: False)
    assert "pip install '.[openvino]'" in refused("--engine=openvino")
    assert job("--engine=auto").engine == "keras"


def test_scoring_needs_no_engine():
    message = refused("--masks=masks", "--truth=truth", "--engine=keras")
    assert message.endswith("without a network; leave out --engine")


def test_another_engine_is_told_on_a_resume():
    start(job("--engine=keras"))
    assert changes(job("--engine=openvino", "--resume")) == ["engine was keras, is openvino"]
    assert changes(job("--engine=auto", "--resume")) == []


def test_auto_precision_of_openvino_asks_the_processor_alone(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    assert decided_precision(None, "openvino") in {"float32", "bfloat16"}


def test_gpus_are_told_by_their_devices(monkeypatch, tmp_path):
    monkeypatch.undo()
    monkeypatch.setattr(choose_engine, "DEVICES", tmp_path)
    (tmp_path / "nvidiactl").touch()
    assert not choose_engine._has_gpu()
    (tmp_path / "nvidia0").touch()
    assert choose_engine._has_gpu()


def test_it_is_there_if_it_can_be_imported(monkeypatch):
    monkeypatch.undo()
    assert choose_engine._is_installed() == (importlib.util.find_spec("openvino") is not None)
