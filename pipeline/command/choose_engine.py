"""Decides what runs the network and what it computes in, once: a map depends on both."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from model.inference.tensorflow_notices import without_notices
from model.presets import ONNX_SUFFIX, PRESETS
from pipeline.command.options import UsageError
from pipeline.job_settings import Job
from pipeline.storage.journal_files import read_head
from pipeline.storage.model_file import local_copy

DEVICES = Path("/dev")
# The devices of NVIDIA's and AMD's drivers on Linux.
_GPUS = ("nvidia[0-9]*", "kfd")


def decided_engine(asked: str, job: Job, workers: str | None) -> str:
    """What ``--engine`` stands for.

    OpenVINO starts in a third of TensorFlow's time and is a little faster afterwards, but computes
    on processors only. A network that Keras has to read for it first starts later. A resumed job
    goes on with its engine where it can: with the other, all that is finished would be done again.

    Args:
        asked: The flag.
        job: The job, whose model was checked.
        workers: What the workers are, where they may be on other machines; else None.

    Returns:
        ``"keras"`` or ``"openvino"``.

    Raises:
        UsageError: OpenVINO is asked for and cannot be used.
    """
    is_onnx = job.model.endswith(ONNX_SUFFIX)
    if asked == "keras":
        if is_onnx:
            raise UsageError(f"--engine keras does not read --model {job.model!r}; openvino does")
        return asked
    needs_keras = job.require_gpu or job.precision == "float16"
    if asked == "openvino" or is_onnx:
        wanted = "--engine openvino" if asked == "openvino" else f"--model {job.model!r}"
        if needs_keras:
            flag = "--require_gpu" if job.require_gpu else "--precision float16"
            raise UsageError(
                f"{wanted}: OpenVINO computes on processors, in float32 or bfloat16; leave out "
                f"{flag}"
            )
        if not _is_installed():
            raise UsageError(
                f"{wanted}: OpenVINO is not installed; pip install '.[openvino]' brings it"
            )
        return "openvino"
    earlier = _engine_of_earlier_run(job)
    if earlier == "openvino" and not needs_keras and workers is None and _is_installed():
        return earlier
    # Whether OpenVINO is where the workers are, this machine cannot know.
    if earlier == "keras" or needs_keras or workers is not None:
        return "keras"
    if not _is_installed() or _has_gpu():
        return "keras"
    return "openvino" if _read_without_keras(job) else "keras"


def decided_precision(workers: str | None, engine: str) -> str:
    """What ``--precision auto`` stands for.

    Args:
        workers: As for ``decided_engine``.
        engine: What runs the network.

    Raises:
        UsageError: Other machines compute.
    """
    if workers is not None:
        raise UsageError(
            f"--precision auto would be decided by this machine, and not by those of {workers}; "
            "give bfloat16 if their GPUs (Ampere and later, such as L4) or processors (Sapphire "
            "Rapids, Zen 4 and later) compute in it, else float32"
        )
    with without_notices():
        # Imported here because with Keras it needs TensorFlow, which nothing else does so early.
        from model.precision import dtype_of

        return dtype_of("auto", engine)


def _engine_of_earlier_run(job: Job) -> str | None:
    if not job.resume:
        return None
    try:
        return (read_head(job.output) or {}).get("engine")
    except Exception:  # Any filesystem's. `check_output` says what is wrong with the folder.
        return None


def _is_installed() -> bool:
    return importlib.util.find_spec("openvino") is not None


def _has_gpu() -> bool:
    return any(True for name in _GPUS for _ in DEVICES.glob(name))


def _read_without_keras(job: Job) -> bool:
    # Imported here because a flag is refused sooner without HDF5.
    from model.inference.weights_files import listed_preset

    try:
        name = job.model if job.model in PRESETS else local_copy(job.model, job.model_content)
        return listed_preset(name) is not None
    except OSError:  # Damaged; loading it will say how.
        return False
