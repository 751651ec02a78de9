"""Memory, threads and open files of a run do not grow with the number of its images."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from tests.end_to_end.command import SCRIPT, write_network

MANY, FEW = 8_000, 500


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Many names of 20 photos, few of them apart, and a small network."""
    folder = tmp_path_factory.mktemp("long")
    for number in range(20):
        path = folder / f"{number}.jpg"
        Image.effect_noise((200, 150), 5 * number).convert("RGB").save(path)
        for count, name in ((MANY, "many"), (FEW, "few")):
            (folder / name).mkdir(exist_ok=True)
            for copy in range(number, count, 20):
                os.link(path, folder / name / f"{copy}.jpg")
    write_network(folder / "net.keras")
    return folder


def watch(folder, name):
    """Runs the job; peak memory in KiB, and the most threads and open files after a while."""
    process = subprocess.Popen(
        [
            *(sys.executable, str(SCRIPT), f"--input={name}", f"--output={name}_out"),
            *("--model=net.keras", "--image_size=64"),
        ],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
    )
    peak, threads, files = 0, [], []
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
            values = dict(line.split(":", 1) for line in status.splitlines())
            peak = int(values.get("VmHWM", "0 kB").split()[0]) or peak
            if (folder / f"{name}_out" / "masks").exists():
                threads.append(int(values["Threads"]))
                files.append(len(os.listdir(f"/proc/{process.pid}/fd")))
        except (OSError, KeyError):
            break  # It has just ended.
        time.sleep(0.05)
    out, _ = process.communicate()
    assert process.returncode == 0 and out.endswith(f"output in {name}_out\n")
    print(f"{name}: {peak} KiB, {max(threads)} threads, {max(files)} files; {out}")
    return peak, max(threads), max(files)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_many_images_need_little_more_than_few(folder):
    few, many = watch(folder, "few"), watch(folder, "many")
    peaks, threads, files = zip(few, many, strict=True)
    # Beam's in-process runner keeps all names and rows in memory: 4 to 5.4 KiB an image were seen.
    # A photo's bytes, its pixels or its map would be more than 10 KiB each.
    assert peaks[1] - peaks[0] <= 8 * (MANY - FEW)
    # 24 against 15 were seen, and 19; a thread that each bundle left would make hundreds.
    assert threads[1] <= threads[0] + 32
    assert files[1] <= files[0] + 8
    assert len(list((folder / "many_out" / "masks").iterdir())) == MANY
