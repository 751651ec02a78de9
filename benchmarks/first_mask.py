"""The time from the start of `run_pipeline.py` to its first mask, and the parts it is made of.

The command annotates the bundled sample with the bundled network, by OpenVINO and by Keras. Each
part is timed in a process of its own, the start of Python included. The parts take turns with the
commands.
"""

from __future__ import annotations

import functools
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks.results_files import Goal, Measured, parser, publish
from benchmarks.timed_commands import ROOT, SCRIPT, run
from benchmarks.turns import alternate
from pipeline.job_settings import ENGINES, Job

MODULE = "benchmarks.first_mask"

# Seconds to the first mask that should be enough, by the engine.
BOUNDS = {"openvino": 3.5, "keras": 5.5}
# Seconds between two looks for the first mask.
_POLL = 0.02

# Arguments of Python, by what they do.
PARTS = {
    "`--help`": [SCRIPT, "--help"],
    "import Beam": ["-c", "import apache_beam"],
    "import TensorFlow and Keras": ["-c", "import tensorflow, keras"],
    **{
        f"import, load the network, one batch: {name}": [
            *("-c", f"import {MODULE} as own; own.first_batch({engine!r})")
        ]
        for engine, name in ENGINES.items()
    },
}


def first_batch(engine: str) -> None:
    """Loads the bundled network and runs it on one batch, as a job does before its first image.

    Args:
        engine: What runs it.
    """
    # Imported here: what this takes is part of what is timed.
    from pipeline.stages.load_network import load_network

    load_network(Job.model, "", Job.image_size, Job.batch_size, engine=engine).probe()


def first_mask(engine: str) -> tuple[float, float]:
    """Runs the command.

    Args:
        engine: As `--engine`.

    Returns:
        Seconds from its start to the first complete file in ``masks/``, and to its end.

    Raises:
        RuntimeError: It ended without a mask.
    """
    with tempfile.TemporaryDirectory() as output:
        command = [sys.executable, SCRIPT, "--engine", engine, "--output", output]
        start, first = time.perf_counter(), None
        with subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            while first is None and process.poll() is None:
                time.sleep(_POLL)
                if any(Path(output).glob("masks/**/*.png")):
                    first = time.perf_counter() - start
        end = time.perf_counter() - start
    if first is None:
        raise RuntimeError("the command ended without a mask")
    return first, end


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; see `--help`."""
    argv = sys.argv[1:] if argv is None else argv
    arguments = parser(MODULE, __doc__, rounds=3).parse_args(argv)

    def part(name: str):
        return lambda: run([sys.executable, *PARTS[name]]).wall

    # Once, so that no turn reads programs from disk.
    commands = {engine: functools.partial(first_mask, engine) for engine in ENGINES}
    for command in commands.values():
        command()
    parts = alternate({**commands, **{name: part(name) for name in PARTS}}, arguments.rounds)
    whole = {engine: parts.pop(engine) for engine in ENGINES}
    rows = [{"what": name, "seconds": median(seconds)} for name, seconds in parts.items()]
    for engine, ends in whole.items():
        for number, what in enumerate(("to its first mask", "to its end")):
            seconds = median(times[number] for times in ends)
            rows.append({"what": f"the command by {ENGINES[engine]}, {what}", "seconds": seconds})
    goals = [
        Goal(
            f"seconds from the command to its first mask, by {ENGINES[engine]}",
            median(first for first, _ in whole[engine]),
            "<=",
            bound,
        )
        for engine, bound in BOUNDS.items()
    ]
    notes = [
        f"Medians; turns of each: {arguments.rounds}. The bundled sample, basnet_mini at "
        f"{Job.image_size}²."
    ]
    publish(Measured("Time to the first mask", rows, goals, notes), MODULE, argv, arguments.output)


if __name__ == "__main__":
    main()
