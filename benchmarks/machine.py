"""The machine that measures: processor, memory, versions, and what else kept it busy."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

CORES = os.cpu_count() or 1

_EXTENSIONS = (
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_bf16",
    "amx_int8",
)
_PACKAGES = (
    "tensorflow",
    "keras",
    "apache-beam",
    "keras-hub",
    "torch",
    "openvino",
    "numpy",
    "pillow",
)
_STAT = Path("/proc/stat")


@dataclass(frozen=True)
class ProcessorTime:
    """Readings of three clocks, in seconds.

    Attributes:
        wall: Time since some moment.
        all: Processor time of all programs.
        own: Processor time of this process and of the commands that it waited for.
    """

    wall: float
    all: float
    own: float


def processor_time() -> ProcessorTime | None:
    """Reads the clocks; None on a system without `/proc/stat`."""
    if not _STAT.is_file():
        return None
    ticks = _STAT.read_text().split("\n")[0].split()[1:9]
    user, nice, system, _idle, _wait, interrupts, soft, stolen = map(int, ticks)
    busy = user + nice + system + interrupts + soft + stolen
    own = sum(os.times()[:4])
    return ProcessorTime(time.monotonic(), busy / os.sysconf("SC_CLK_TCK"), own)


_START = processor_time()


def share_of_others(before: ProcessorTime, after: ProcessorTime, cores: int) -> float:
    """Returns the share of the processors, from 0 to 1, that other programs used meanwhile."""
    others = (after.all - before.all) - (after.own - before.own)
    return max(0.0, others / ((after.wall - before.wall) * cores))


def machine() -> dict[str, str]:
    """Describes the machine, and how busy other programs kept it since this process started.

    Versions are read from the packages' metadata: nothing that is described is imported.
    """
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    found = {name.strip(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    extensions = set(found.get("flags", "").split())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    numbers = [found.get(name) for name in ("cpu family", "model")]
    family = "" if None in numbers else " (family {}, model {})".format(*numbers)
    described = {
        "processor": found.get("model name", platform.machine()) + family,
        "cores": str(CORES),
        "has": " ".join(name for name in _EXTENSIONS if name in extensions),
        "memory": f"{memory / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }
    for package in _PACKAGES:
        try:
            described[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue  # Not installed, so nothing here used it.
    now = processor_time()
    others = "unknown"
    if _START is not None and now is not None:
        others = f"{share_of_others(_START, now, CORES):.0%} of the processors"
    return {**described, "other programs meanwhile": others}
