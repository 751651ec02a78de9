import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from model.presets import PRESETS
from model.train import build_network, main
from tests.published import lite0_state, write_lite0

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "preset",
    [
        "resnet18",
        pytest.param("basnet_resnet18", marks=pytest.mark.slow),
        pytest.param("basnet_paper", marks=pytest.mark.slow),
    ],
)
def test_residual_presets_are_built_for_crops_of_any_size(preset):
    """One names a backbone only, one is for images of 288², one has a stem of its own."""
    network, layers = build_network(preset)
    encoder = {layer.name for layer in layers if layer.weights}
    # The stem of KerasCV's is not part of the network.
    parts = {layer.name for layer in network.backbone.layers if layer.weights}
    assert encoder == {name for name in parts if not name.startswith("resnet_stem")}
    assert any("stem" in name for name in encoder) == (preset == "basnet_paper")
    assert network.input_shape == (None, None, None, 3)
    assert {output.shape for output in network.outputs} == {(None, None, None, 1)}


# The last two kinds of weights are those of batch normalisation.
@pytest.mark.parametrize(
    ("rate", "learning"),
    [
        (0.1, {"kernel"}),
        pytest.param(0.0, set(), marks=pytest.mark.slow),
        pytest.param(1.0, {"kernel", "gamma", "beta"}, marks=pytest.mark.slow),
    ],
)
def test_training_starts_from_a_file_of_the_encoder_and_freezes_parts_of_it(
    tmp_path, rate, learning
):
    pytest.importorskip("torch")
    state = lite0_state()
    write_lite0(state, tmp_path / "lite0.pth")
    network, layers = build_network("basnet_mini", None, tmp_path / "lite0.pth", rate)
    first, theirs = network.backbone.weights[0], state["_conv_stem.weight"]
    np.testing.assert_array_equal(first, theirs.transpose(2, 3, 1, 0))
    paths = [weight.path for weight in network.trainable_weights]
    assert {"stem", "bridge", "decoder1", "refine"} <= {path.partition("_")[0] for path in paths}
    encoder = {path for path in paths if path.startswith("encoder")}
    assert {path.rpartition("/")[2] for path in encoder} == learning
    assert encoder == {v.path for layer in layers for v in layer.trainable_variables}


def test_training_starts_from_a_weights_file(tmp_path):
    network, _ = build_network("basnet_mini")
    network.save_weights(tmp_path / "mine.weights.h5")
    again, _ = build_network("basnet_mini", tmp_path / "mine.weights.h5")
    for one, other in zip(network.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("nowhere", "there is no folder nowhere"),
        ("FOLDER=heavy", "is not a number"),
        ("FOLDER=0", "must be positive, got 0.0"),
        pytest.param(
            "FOLDER --encoder nowhere.pth",
            "No such file or directory: 'nowhere.pth'",
            marks=pytest.mark.skipif(find_spec("torch") is None, reason="needs the extra torch"),
        ),
        ("FOLDER --encoder_rate 0", "already trained; give --weights or --encoder\n"),
        ("FOLDER --encoder_rate 0 --model basnet_paper", "already trained; give --weights\n"),
        ("FOLDER --encoder_rate 2", "encoder_rate must be in [0, 1], got 2.0"),
        (
            "FOLDER --encoder weights.pth --model basnet_paper",
            "is for an EfficientNet-Lite0, as basnet_mini has it; basnet_paper has none",
        ),
    ],
)
def test_wrong_usage_is_told_before_training(folder, tmp_path, capsys, data, message):
    data = data.replace("FOLDER", str(folder))
    with pytest.raises(SystemExit) as status:
        main(["--data", *data.split(" "), "--output", str(tmp_path)])
    assert status.value.code == 2
    assert message in capsys.readouterr().err


def _children(pid):
    """Processes that a process has started, on Linux; elsewhere none are known."""
    tasks = Path(f"/proc/{pid}/task")
    files = tasks.glob("*/children") if tasks.exists() else []
    return [int(child) for file in files for child in file.read_text().split()]


def _runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
def test_an_interrupted_command_says_how_to_continue_and_does_so(folder, tmp_path):
    checkpoint = tmp_path / "run" / "checkpoint.npz"

    def start():
        flags = {"batch_size": 2, "crop": 64, "resize": 72, "checkpoint_every": 1}
        flags |= {"data": f"{folder}=2", "output": tmp_path / "run", "validation_fraction": 0.3}
        # Most of the time goes by until the first step; with a frozen encoder it is less.
        flags |= {"weights": PRESETS["basnet_mini"].weights, "encoder_rate": 0}
        texts = [text for key, value in flags.items() for text in (f"--{key}", str(value))]
        command = [sys.executable, "-u", "-m", "model.train", *texts]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, cwd=ROOT, **pipes)

    def wait_for_checkpoint(process, after):
        while process.poll() is None:
            if checkpoint.exists() and checkpoint.stat().st_mtime_ns > after:
                return
            time.sleep(0.01)

    def steps_done():
        with np.load(checkpoint) as arrays:
            return len(arrays["losses"])

    interrupted = start()
    wait_for_checkpoint(interrupted, 0)
    interrupted.send_signal(signal.SIGINT)
    _, err = interrupted.communicate()
    assert interrupted.returncode == 130, err
    assert "the same command continues from the last checkpoint" in err
    done = steps_done()
    assert done >= 1

    killed = start()
    wait_for_checkpoint(killed, checkpoint.stat().st_mtime_ns)
    workers = _children(killed.pid)
    os.kill(killed.pid, signal.SIGKILL)
    out, err = killed.communicate()
    assert killed.returncode == -signal.SIGKILL, err
    assert f"held out; from step {done}" in out
    assert steps_done() > done  # The checkpoint is whole.
    assert workers or sys.platform != "linux"
    ends = time.monotonic() + 30
    while any(map(_runs, workers)) and time.monotonic() < ends:
        time.sleep(0.1)
    assert not [pid for pid in workers if _runs(pid)]
