"""Reads Dockerfiles, as far as this project's go: no shell variables, no heredocs."""

import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "deploy"
FILES = sorted(FOLDER.glob("*.Dockerfile"))


@dataclass(frozen=True)
class Step:
    """An instruction, such as ``RUN``, and what follows it."""

    name: str
    text: str

    @property
    def flags(self) -> list[str]:
        return [word for word in self.text.split() if word.startswith("--")]

    @property
    def words(self) -> list[str]:
        return [word for word in self.text.split() if not word.startswith("--")]


def steps(path: Path) -> list[Step]:
    """The instructions of a file, with their lines joined and comments left out."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    pairs = [line.split(None, 1) for line in joined.splitlines() if line.strip()]
    return [Step(name, text) for name, text in pairs]
