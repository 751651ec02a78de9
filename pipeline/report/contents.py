"""All that a report is made of but its pictures: small, whatever the size of the job.

A job writes it beside its journal, so that the page can be made again.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from pipeline.failures import Failure
from pipeline.job_settings import Job
from pipeline.records import MetricsRow
from pipeline.report.failed import REASONS, Failed
from pipeline.report.figures import Figures
from pipeline.storage.journal_files import from_line, to_line

# Rises when what is written here changes its meaning.
FORMAT = 1
PACKAGES = (
    "basnet-annotator",
    "apache-beam",
    "tensorflow",
    "keras",
    "openvino",
    "numpy",
    "pillow",
)


@dataclass(frozen=True)
class Run:
    """How a job was run.

    Attributes:
        job: Its settings.
        runner: What Beam calls its runner.
        begun: When it was begun, in seconds since 1970; None if nobody knows.
        ended: When its rows were complete.
        versions: Of packages, where the report was made.
        made: Images that the run has made, where an earlier one may have made others; else None.
    """

    job: Job
    runner: str
    begun: float | None
    ended: float
    versions: Mapping[str, str]
    made: int | None = None

    @property
    def seconds(self) -> float | None:
        """How long it took until its rows were complete."""
        return None if self.begun is None else max(self.ended - self.begun, 0.001)

    @property
    def day(self) -> str:
        """When its rows were complete."""
        moment = datetime.datetime.fromtimestamp(self.ended, datetime.UTC)
        return moment.strftime("%Y-%m-%d %H:%M UTC")


@dataclass(frozen=True)
class Contents:
    """What a report says.

    Attributes:
        run: How the job was run.
        figures: Counts of all images with a mask.
        failures: Reason, number and examples, most first.
        failed: Number of all failures.
        notes: What is said of the input, to the number of cases and an example.
        galleries: By name, the rows of a gallery in its order.
    """

    run: Run
    figures: Figures
    failures: list[tuple[str, int, list[Failure]]]
    failed: int
    notes: Mapping[str, tuple[int, str]]
    galleries: Mapping[str, list[MetricsRow]]

    def rows(self) -> list[MetricsRow]:
        """All rows of the galleries, each once."""
        rows = {row.item.mask: row for gallery in self.galleries.values() for row in gallery}
        return list(rows.values())

    def to_json(self) -> bytes:
        """The contents as a file holds them, see ``from_json``."""
        numbers = {row.item.mask: number for number, row in enumerate(self.rows())}
        values = {
            "format": FORMAT,
            "run": asdict(self.run),
            "figures": self.figures.to_json(),
            "failures": [
                [reason, count, [asdict(one) for one in examples]]
                for reason, count, examples in self.failures
            ],
            "failed": self.failed,
            "notes": self.notes,
            "rows": [to_line(row) for row in self.rows()],
            "galleries": {
                name: [numbers[row.item.mask] for row in rows]
                for name, rows in self.galleries.items()
            },
        }
        return json.dumps(values).encode()


def versions() -> dict[str, str]:
    """The versions of what a job is run with, as far as they are installed here."""
    found = {"Python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def contents(
    run: Run,
    figures: Figures,
    failed: Failed,
    notes: Mapping[str, tuple[int, str]],
    galleries: Mapping[str, list[MetricsRow]],
) -> Contents:
    """What a report says of a job, of a bounded size."""
    by_reason = failed.by_reason()
    total = sum(count for _, count, _ in by_reason)
    return Contents(run, figures, by_reason[:REASONS], total, notes, galleries)


def from_json(data: bytes, output: str) -> Contents:
    """Reads what ``Contents.to_json`` wrote.

    Args:
        data: What it wrote.
        output: The output folder, which may have been moved.

    Raises:
        ValueError: It is of another release, or damaged.
    """
    try:
        values = json.loads(data)
        if values["format"] != FORMAT:
            raise ValueError(f"is of format {values['format']}; this release reads {FORMAT}")
        rows = [from_line(line)[1] for line in values["rows"]]
        run = values["run"]
        return Contents(
            Run(**{**run, "job": _job(run["job"] | {"output": output})}),
            Figures.from_json(values["figures"]),
            [
                (reason, count, [Failure(**one) for one in examples])
                for reason, count, examples in values["failures"]
            ],
            values["failed"],
            {kind: tuple(note) for kind, note in values["notes"].items()},
            {
                name: [rows[number] for number in numbers]
                for name, numbers in values["galleries"].items()
            },
        )
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"is damaged: {error!r}") from error


def _job(values: dict) -> Job:
    known = {field.name for field in fields(Job)}
    # JSON has no tuples.
    return Job(
        **{
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
            if name in known
        }
    )
