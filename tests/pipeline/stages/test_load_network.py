"""A network is loaded once, whoever asks."""

import threading
import time

import pytest

from pipeline.job_settings import Job
from pipeline.stages import load_network as module
from pipeline.stages.load_network import load_ahead, load_network, loaded_network, network_of


@pytest.fixture
def loads(monkeypatch):
    """Loading takes a while and makes an object; the list says of what."""
    asked = []

    def load(path, engine, *_):
        asked.append((path, engine))
        time.sleep(0.2)
        if path == "basnet_paper":
            raise ValueError("no weights")
        return path

    monkeypatch.setattr(module, "_load", load)
    monkeypatch.setattr(module, "Segmenter", lambda loaded, *settings: (loaded, settings))
    loaded_network.cache_clear()
    yield asked
    loaded_network.cache_clear()


def wait_for_threads():
    for thread in threading.enumerate():
        if thread.name == "load ahead":
            thread.join()


def test_what_is_loaded_ahead_is_not_loaded_again(loads):
    job = Job("out", engine="openvino", batch_size=3, tta="flip", precision="bfloat16")
    load_ahead(job)
    loaded, settings = network_of(job)()
    assert loads == [("basnet_mini", "openvino")] and loaded == "basnet_mini"
    assert settings[:4] == (Job.image_size, 3, "flip", "bfloat16") and settings[4] >= 1
    wait_for_threads()


def test_what_cannot_be_loaded_ahead_is_said_to_who_needs_it(loads):
    job = Job("out", model="basnet_paper")
    load_ahead(job)
    wait_for_threads()
    with pytest.raises(ValueError, match="no weights"):
        network_of(job)()


def test_other_settings_are_another_network(loads):
    first, second = (load_network("basnet_mini", "", side, 1) for side in (32, 64))
    assert first != second and len(loads) == 2
