"""Loads a job's network, once in a process, from any filesystem, for either engine."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable
from dataclasses import replace

from model.inference.onnx_card import card_of, read_card
from model.inference.segmenter import Segmenter
from model.inference.tensorflow_notices import without_notices
from model.presets import ONNX_SUFFIX, PRESETS
from pipeline.job_settings import Job
from pipeline.stages.threads import thread_count, usable_cores
from pipeline.storage.model_file import content_of_model, local_copy

# The cache alone would let two threads load a network twice.
_one_at_a_time = threading.Lock()


def network_of(job: Job) -> Callable[[], Segmenter]:
    """What loads the network of a job, in whichever process it is called."""
    return functools.partial(
        load_network,
        job.model,
        job.model_content,
        job.image_size,
        job.batch_size,
        job.tta,
        job.precision,
        job.processes,
        job.require_gpu,
        job.engine,
    )


def with_card(job: Job) -> Job:
    """The job with what the card of an ONNX file says of its images; other jobs as they are.

    Raises:
        ValueError: The card cannot be used, or the job has another size.
        OSError: It cannot be read.
    """
    if not job.model.endswith(ONNX_SUFFIX):
        return job
    card = read_card(card_of(local_copy(job.model, job.model_content)))
    if job.image_size not in (Job.image_size, card.size):
        raise ValueError(f"its card says size {card.size}, and not {job.image_size}; leave it out")
    return replace(job, image_size=card.size, resize=card.resize)


def load_network(*settings, **more) -> Segmenter:
    """The network of ``loaded_network``, which is loaded once, whoever asks meanwhile.

    Args:
        *settings: As of ``loaded_network``.
        **more: As of ``loaded_network``.
    """
    with _one_at_a_time:
        return loaded_network(*settings, **more)


@functools.lru_cache(maxsize=1)
def loaded_network(
    model: str,
    content: str,
    image_size: int,
    batch_size: int,
    tta: str = "none",
    precision: str = "float32",
    processes: int = 1,
    require_gpu: bool = False,
    engine: str = "keras",
) -> Segmenter:
    """Loads the network from any filesystem. The last one stays loaded.

    Args:
        model: A preset, or a Keras file on any Beam filesystem.
        content: What ``content_of_model`` says of it.
        image_size: Side S of the images, in pixels.
        batch_size: Most images in a batch.
        tta: Test-time augmentation, ``"none"`` or ``"flip"``.
        precision: ``"float32"``, ``"bfloat16"``, ``"float16"`` or ``"auto"``.
        processes: As in ``Job``: the engine gets this process's share of the cores.
        require_gpu: Whether to refuse to compute without a GPU.
        engine: ``"keras"`` or ``"openvino"``.

    Raises:
        ValueError: The model cannot be used; the message says why, in a line.
        OSError: The file cannot be read.
    """
    path = _model_here(model, content)
    threads = thread_count(processes, usable_cores())
    with without_notices():
        loaded = _load(path, engine, image_size, threads, require_gpu)
        return Segmenter(loaded, image_size, batch_size, tta, precision, threads)


def _load(path: str, engine: str, image_size: int, threads: int, require_gpu: bool):
    """What a ``Segmenter`` takes, of one engine."""
    # Imported here so that building a graph loads no TensorFlow, and OpenVINO needs none.
    if engine == "openvino":
        from model.inference.openvino_model import load_for_openvino

        return load_for_openvino(path, image_size)
    from model.inference.device import computing_device, ready_tensorflow
    from model.inference.load import load_model

    ready_tensorflow(threads)
    if require_gpu and computing_device() != "gpu":
        raise ValueError("--require_gpu: TensorFlow finds no GPU that it can use")
    return load_model(path)


def load_ahead(job: Job) -> None:
    """Begins to load a job's network in a thread; who needs it then waits for less.

    What fails fails again when the network is needed, and is said then.
    """

    def load() -> None:
        with contextlib.suppress(Exception):
            network_of(job)()

    # The process does not end while it loads: libraries crash when it does.
    threading.Thread(target=load, name="load ahead").start()


def _model_here(model: str, content: str) -> str:
    """A preset's name, or the path of a model file on this machine."""
    if model not in PRESETS:
        return local_copy(model, content)
    if content and content_of_model(model) != content:
        raise ValueError(
            f"the weights of {model!r} are others here than where the job began; workers need the "
            "same version of this package"
        )
    return model
