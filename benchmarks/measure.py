"""What all measurements share: taking turns, the machine, tables of figures and goals."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import platform
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

CORES = os.cpu_count() or 1

_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_bf16", "amx_int8")
_PACKAGES = ("tensorflow", "keras", "apache-beam", "keras-hub", "torch", "openvino", "numpy")
_PACKAGES += ("pillow",)

_STAT = Path("/proc/stat")


@dataclasses.dataclass(frozen=True)
class Goal:
    """A figure and its bound.

    Attributes:
        what: The quantity, in words.
        measured: Its value.
        relation: ``"<="`` or ``">="``.
        bound: What it should reach.
    """

    what: str
    measured: float
    relation: str
    bound: float

    @property
    def met(self) -> bool:
        """Whether the value is as good as the bound."""
        if self.relation == "<=":
            return self.measured <= self.bound
        return self.measured >= self.bound

    @property
    def share(self) -> float:
        """The value relative to the bound, turned so that 1 and less is met."""
        ratio = self.measured / self.bound
        return ratio if self.relation == "<=" else 1 / ratio


@dataclasses.dataclass(frozen=True)
class Measured:
    """What one command measured.

    Attributes:
        title: What was measured, in a line.
        rows: One dict from column to value for each line of the table; a column that a row lacks
            is left empty.
        goals: Figures that have a bound.
        notes: How it was measured, a sentence or two each.
        command: The command, as it was given.
        machine: What ``machine()`` says.
        date: Day of the measurement.
    """

    title: str
    rows: list[dict]
    goals: list[Goal]
    notes: list[str]
    command: str = ""
    machine: dict[str, str] = dataclasses.field(default_factory=dict)
    date: str = ""


def alternate(contenders: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """Calls functions in turn, so that what slows the machine for a while slows all of them.

    Args:
        contenders: Functions by name.
        rounds: How often each is called. Every second round goes through them backwards.

    Returns:
        What each function returned, by name, in the order of the rounds.
    """
    results: dict[str, list[T]] = {name: [] for name in contenders}
    for number in range(rounds):
        order = list(contenders) if number % 2 == 0 else list(reversed(contenders))
        for name in order:
            results[name].append(contenders[name]())
    return results


def timed(function: Callable[[], object]) -> Callable[[], float]:
    """A function that returns the seconds that the given one takes."""

    def run() -> float:
        start = time.perf_counter()
        function()
        return time.perf_counter() - start

    return run


def machine() -> dict[str, str]:
    """What was measured on: processor, memory, versions; without loading what is described."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    found = {name.strip(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    flags = set(found.get("flags", "").split())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    numbers = [found.get(name) for name in ("cpu family", "model")]
    family = "" if None in numbers else " (family {}, model {})".format(*numbers)
    described = {
        "processor": found.get("model name", platform.machine()) + family,
        "cores": str(CORES),
        "has": " ".join(flag for flag in _FLAGS if flag in flags),
        "memory": f"{memory / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }
    for package in _PACKAGES:
        try:
            described[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue  # Nothing that was measured used it.
    return described


def _processor_seconds() -> tuple[float, float, float]:
    """The clock; processor seconds of all programs; those of this one and its commands."""
    jiffies = _STAT.read_text().split("\n")[0].split()[1:9]
    user, nice, system, _idle, _wait, interrupts, soft, stolen = map(int, jiffies)
    busy = user + nice + system + interrupts + soft + stolen
    return time.monotonic(), busy / os.sysconf("SC_CLK_TCK"), sum(os.times()[:4])


_BEGUN = _processor_seconds() if _STAT.is_file() else None


def others() -> str:
    """How busy other programs kept the processors since this one began, for a note."""
    if _BEGUN is None:
        return "unknown"
    wall, busy, own = (now - then for now, then in zip(_processor_seconds(), _BEGUN, strict=True))
    return f"{max(0.0, (busy - own) / (wall * CORES)):.0%} of the processors"


def markdown(measured: Measured) -> str:
    """The figures as a section of Markdown."""
    blocks = [f"## {measured.title}", _table(measured.rows)]
    if measured.goals:
        rows = [
            {
                "goal": goal.what,
                "measured": goal.measured,
                "bound": f"{'≤' if goal.relation == '<=' else '≥'} {goal.bound:.2f}",
                "met": "yes" if goal.met else "**no**",
            }
            for goal in measured.goals
        ]
        blocks.append(_table(rows))
    if measured.notes:
        blocks.append("\n".join(f"- {note}" for note in measured.notes))
    described = ", ".join(f"{name} {value}" for name, value in measured.machine.items())
    blocks.append(f"`{measured.command}`, {measured.date}. {described}.")
    return "\n\n".join(blocks)


def parser(module: str, description: str) -> argparse.ArgumentParser:
    """A parser of a measurement's flags, with ``--rounds`` and ``--output``."""
    flags = argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=description,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    flags.add_argument("--rounds", type=int, default=3, help="how often each contender's turn is")
    flags.add_argument("--output", type=Path, metavar="FILE", help="write the figures as JSON, too")
    return flags


def publish(measured: Measured, module: str, argv: Sequence[str], output: Path | None) -> None:
    """Prints the figures as Markdown and, if an output is given, writes them as JSON."""
    measured = dataclasses.replace(
        measured,
        command=shlex.join(["python", "-m", module, *argv]),
        machine={**machine(), "other programs meanwhile": others()},
        date=time.strftime("%Y-%m-%d"),
    )
    print(markdown(measured))
    if output is not None:
        text = json.dumps(dataclasses.asdict(measured), indent=2, ensure_ascii=False)
        output.write_text(text + "\n")


def read(path: Path) -> Measured:
    """Reads what ``publish`` wrote."""
    values = json.loads(path.read_text())
    goals = [Goal(**goal) for goal in values.pop("goals")]
    return Measured(**values, goals=goals)


def _table(rows: Sequence[dict]) -> str:
    head = list(dict.fromkeys(column for row in rows for column in row))
    lines = [head, ["---"] * len(head)]
    lines += [[_cell(row.get(column)) for column in head] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: object) -> str:
    """Text of a value; floats with three digits that count."""
    if value is None:
        return ""
    if not isinstance(value, float):
        return str(value)
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = 2 - math.floor(math.log10(abs(value)))
    return f"{value:.1e}" if digits > 5 else f"{value:,.{max(digits, 0)}f}"
