"""The precision that a network computes in, chosen by the hardware."""

from __future__ import annotations

from pathlib import Path

PRECISIONS = ("float32", "bfloat16", "float16", "auto")

_CPUINFO = Path("/proc/cpuinfo")
# Ampere, the first generation of NVIDIA's GPUs with bfloat16.
_AMPERE = (8, 0)


def dtype_of(precision: str, engine: str = "keras") -> str:
    """Returns the dtype that a precision stands for on this machine.

    Args:
        precision: One of ``PRECISIONS``. ``"auto"`` is bfloat16 if all GPUs that TensorFlow sees
            compute in it, or, without a GPU, if the CPU does; else float32.
        engine: What computes; OpenVINO, ``"openvino"``, computes on the CPU.

    Raises:
        ValueError: The precision is unknown.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}; got {precision!r}")
    if precision != "auto":
        return precision
    cpuinfo = _CPUINFO.read_text() if _CPUINFO.is_file() else ""
    return chosen([] if engine == "openvino" else _capabilities(), cpuinfo)


def chosen(gpus: list[tuple[int, int]], cpuinfo: str) -> str:
    """Returns the dtype that ``"auto"`` stands for.

    Args:
        gpus: CUDA compute capability of each GPU; (0, 0) for one of another vendor.
        cpuinfo: Text of Linux' ``/proc/cpuinfo``; empty on other systems.

    Returns:
        ``"bfloat16"`` or ``"float32"``.
    """
    if gpus:
        return "bfloat16" if min(gpus) >= _AMPERE else "float32"
    lines = [line.partition(":") for line in cpuinfo.splitlines()]
    flags = [set(value.split()) for name, _, value in lines if name.strip() == "flags"]
    has = bool(flags) and all(each & {"avx512_bf16", "amx_bf16"} for each in flags)
    return "bfloat16" if has else "float32"


def _capabilities() -> list[tuple[int, int]]:
    # Imported here because OpenVINO needs neither.
    import keras

    if keras.backend.backend() != "tensorflow":
        return []
    import tensorflow as tf

    return [
        # Only NVIDIA's GPUs have a compute capability.
        tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0))
        for gpu in tf.config.list_physical_devices("GPU")
    ]
