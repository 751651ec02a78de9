"""What a command measured: printed as Markdown, written as JSON and read again."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import shlex
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.machine import machine


@dataclasses.dataclass(frozen=True)
class Goal:
    """A figure and its bound.

    Attributes:
        what: The quantity, in words.
        measured: Its value.
        relation: ``"<="`` or ``">="``.
        bound: The value that it should reach.
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
        """The value divided by the bound, or the inverse for ``">="``: up to 1 the goal is met."""
        ratio = self.measured / self.bound
        return ratio if self.relation == "<=" else 1 / ratio

    @property
    def sign(self) -> str:
        """The relation as one character."""
        return "≤" if self.relation == "<=" else "≥"


@dataclasses.dataclass(frozen=True)
class Measured:
    """What one command measured.

    Attributes:
        title: What was measured, in a line.
        rows: Lines of the table, each a dict from column to value. A column that a row lacks is
            left empty.
        goals: Figures that have a bound.
        notes: How it was measured, a sentence or two each.
        command: The command, as it was given.
        machine: The result of ``machine()``.
        date: Day of the measurement.
    """

    title: str
    rows: list[dict]
    goals: list[Goal]
    notes: list[str]
    command: str = ""
    machine: dict[str, str] = dataclasses.field(default_factory=dict)
    date: str = ""


def parser(module: str, description: str, rounds: int | None = None) -> argparse.ArgumentParser:
    """Makes a parser with the flags that measuring commands share.

    Args:
        module: Name of the command's module.
        description: What ``--help`` says first.
        rounds: Default of ``--rounds``; None leaves that flag out.
    """
    flags = argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=description,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    flags.add_argument("--output", type=Path, metavar="FILE", help="also write the figures as JSON")
    if rounds is not None:
        flags.add_argument("--rounds", type=int, default=rounds, help="number of turns of each")
    return flags


def publish(measured: Measured, module: str, argv: Sequence[str], output: Path | None) -> None:
    """Prints the figures as Markdown and, if an output is given, writes them as JSON.

    The command, the machine and the date are filled in.
    """
    measured = dataclasses.replace(
        measured,
        command=shlex.join(["python", "-m", module, *argv]),
        machine=machine(),
        date=time.strftime("%Y-%m-%d"),
    )
    print(markdown(measured))
    if output is not None:
        text = json.dumps(dataclasses.asdict(measured), indent=2, ensure_ascii=False)
        output.write_text(text + "\n")


def read(path: Path) -> Measured:
    """Reads a file that ``publish`` wrote."""
    values = json.loads(path.read_text())
    goals = [Goal(**goal) for goal in values.pop("goals")]
    return Measured(**values, goals=goals)


def markdown(measured: Measured) -> str:
    """Returns the figures as a section of Markdown."""
    blocks = [f"## {measured.title}", table(measured.rows)]
    if measured.goals:
        rows = [
            {
                "goal": goal.what,
                "measured": goal.measured,
                "bound": f"{goal.sign} {goal.bound:.2f}",
                "met": "yes" if goal.met else "**no**",
            }
            for goal in measured.goals
        ]
        blocks.append(table(rows))
    if measured.notes:
        blocks.append("\n".join(f"- {note}" for note in measured.notes))
    described = ", ".join(f"{name} {value}" for name, value in measured.machine.items())
    blocks.append(f"`{measured.command}`, {measured.date}. {described}.")
    return "\n\n".join(blocks)


def table(rows: Sequence[dict]) -> str:
    """Returns rows as a Markdown table; floats keep three significant digits."""
    head = list(dict.fromkeys(column for row in rows for column in row))
    lines = [head, ["---"] * len(head)]
    lines += [[_cell(row.get(column)) for column in head] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, float):
        return str(value)
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = 2 - math.floor(math.log10(abs(value)))
    return f"{value:.1e}" if digits > 5 else f"{value:,.{max(digits, 0)}f}"
