"""The command on buckets: whole, killed and resumed, with faults, and without leave."""

import io
import json
import os
import re
import signal
import time

import pytest
from PIL import Image

from tests.clouds import CLOUDS, Amazon, Google, one_in_twenty
from tests.end_to_end.command import run_here, said, start, write_network

pytestmark = pytest.mark.slow

COUNT = 30


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    path = tmp_path_factory.mktemp("network") / "net.keras"
    write_network(path)
    return path


@pytest.fixture(scope="module", params=CLOUDS, ids=lambda cloud: cloud.__name__)
def emulator(request, tmp_path_factory):
    cloud = request.param(tmp_path_factory.mktemp("cloud"))
    yield cloud
    cloud.close()


@pytest.fixture
def cloud(emulator):
    """A bucket with photos, and nothing else."""
    emulator.fault = lambda *_: None
    emulator.empty()
    for number in range(COUNT):
        photo = io.BytesIO()
        Image.new("RGB", (40, 30), (number, 100, 50)).save(photo, "png")
        emulator.put(f"in/{number}.png", photo.getvalue())
    emulator.requests.clear()
    return emulator


def flags(cloud, network, output="out"):
    return (
        f"--input={cloud.root}/in",
        f"--output={cloud.root}/{output}",
        f"--model={network}",
        "--image_size=64",
        # It would read photos once more.
        "--no_report",
        *cloud.flags,
    )


def results(cloud, output="out"):
    """What a job left, without what differs from run to run."""
    below = [name for name in cloud.names() if name.startswith(f"{output}/")]
    return {
        name.removeprefix(f"{output}/"): cloud.get(name)
        for name in below
        if "/journal/" not in name
    }


def test_a_job_and_its_resume_after_a_kill_leave_the_same(cloud, network, tmp_path):
    options = {"cwd": tmp_path, **cloud.environment}
    status, out, err = run_here(*flags(cloud, network, "whole"), **options)
    assert status == 0, err
    assert out.startswith(f"{COUNT} images, 0 failures")
    whole = results(cloud, "whole")
    masks = [name for name in whole if name.startswith("masks/")]
    assert len(masks) == COUNT and json.loads(whole["summary.json"])["masks"] == COUNT
    assert not any(name.startswith("temporary/") for name in whole)

    # One request writes a mask; nothing is copied, and nothing deleted but the probe.
    writes = cloud.writes()
    assert sorted(n for n in writes if "/masks/" in n) == sorted(f"whole/{name}" for name in masks)
    assert all(writes.count(name) == 1 for name in set(writes))
    paths = [request.path for request in cloud.requests]
    assert not any(re.search("copyTo|rewriteTo|[?&]uploads|partNumber", path) for path in paths)
    assert sum("/in/" in path or "/in%2F" in path for path in paths) <= COUNT + 2

    # Killed after some masks.
    process = start(*flags(cloud, network), **options)
    while (
        process.poll() is None and sum("out/masks" in name for name in cloud.names()) < COUNT // 3
    ):
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    status, out, err = run_here(*flags(cloud, network), "--resume", **options)
    assert status == 0, err
    assert results(cloud) == whole

    # Begun anew.
    status, out, err = run_here(*flags(cloud, network), "--overwrite", **options)
    assert status == 0, err
    assert results(cloud) == whole


def test_one_request_in_twenty_fails_and_nothing_is_lost(cloud, network, tmp_path):
    cloud.fault = one_in_twenty()
    options = {"cwd": tmp_path, **cloud.environment}
    status, out, err = run_here(*flags(cloud, network), **options)
    assert status == 0, err
    assert out.startswith(f"{COUNT} images, 0 failures")
    failed = sum(request.status == 503 for request in cloud.requests)
    assert failed > len(cloud.requests) / 60
    cloud.fault = lambda *_: None
    left = results(cloud)
    assert sum(name.startswith("masks/") for name in left) == COUNT
    assert json.loads(left["summary.json"])["failed"] == 0


@pytest.mark.parametrize(
    ("emulator", "refused"),
    [(Google, "reads"), (Google, "masks"), (Google, "all"), (Amazon, "masks")],
    indirect=["emulator"],
)
def test_without_leave_the_job_ends_at_once_with_one_line(cloud, network, tmp_path, refused):
    def fault(method, path):
        is_input = re.search(r"in(/|%2F)\d+\.png", path) is not None
        begun = any("journal" in name for name in cloud.writes())
        is_write = method == "PUT" or path.startswith("/upload/")
        refuses = {"reads": is_input and method == "GET", "masks": begun and is_write, "all": True}
        return 403 if refuses[refused] else None

    cloud.fault = fault
    options = {"cwd": tmp_path, **cloud.environment}
    status, _, err = run_here(*flags(cloud, network), **options)
    assert status == 1, err
    (line,) = said(err)
    assert "permission is denied" in line
    assert "Traceback" not in err
    assert sum(request.status == 403 for request in cloud.requests) < 40
    cloud.fault = lambda *_: None
    assert not any("/failures/" in name or "/masks/" in name for name in cloud.names())
