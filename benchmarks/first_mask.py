"""The time from the start of `run_pipeline.py` to its first mask, and what it is spent on.

The command annotates the bundled sample with the bundled network. The parts are timed in processes
of their own, each with what Python itself takes to start; they take turns with the command.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks.jobs import ROOT, SCRIPT, run
from benchmarks.measure import Measured, alternate, parser, publish
from pipeline.job_settings import Job

MODULE = "benchmarks.first_mask"

# Often enough to see when a file is there, seldom enough not to slow down what is measured.
_POLL = 0.02

_PARTS = {
    "`--help`": [SCRIPT, "--help"],
    "import TensorFlow and Keras": ["-c", "import tensorflow, keras"],
    "import, load the network, one batch": [
        "-c",
        "from model.load import load_model; from model.segmenter import Segmenter; "
        f"Segmenter(load_model('basnet_mini'), {Job.image_size}, {Job.batch_size}).probe()",
    ],
}


def first_mask() -> tuple[float, float]:
    """Runs the command.

    Returns:
        Seconds from its start to the first whole file in ``masks/``, and to its end.

    Raises:
        RuntimeError: It ended without a mask.
    """
    with tempfile.TemporaryDirectory() as output:
        command = [sys.executable, SCRIPT, "--runner=DirectRunner", "--output", output]
        start, first = time.perf_counter(), None
        with subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            while first is None and process.poll() is None:
                time.sleep(_POLL)
                if any(Path(output).glob("masks/*.png")):
                    first = time.perf_counter() - start
        end = time.perf_counter() - start
    if first is None:
        raise RuntimeError("the command ended without a mask")
    return first, end


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; see `--help`."""
    argv = sys.argv[1:] if argv is None else argv
    arguments = parser(MODULE, __doc__).parse_args(argv)

    def part(name: str):
        return lambda: run([sys.executable, *_PARTS[name]]).wall

    turns = {"first mask": first_mask, **{name: part(name) for name in _PARTS}}
    run([sys.executable, *_PARTS["import, load the network, one batch"]])  # From disk once.
    found = alternate(turns, arguments.rounds)
    rows = [{"what": name, "seconds": median(found[name])} for name in _PARTS]
    rows += [
        {
            "what": "the command, to its first mask",
            "seconds": median(x for x, _ in found["first mask"]),
        },
        {"what": "the command, to its end", "seconds": median(x for _, x in found["first mask"])},
    ]
    what = f"the bundled sample, basnet_mini at {Job.image_size}²"
    notes = [f"Medians of {arguments.rounds} turns; {what}."]
    title = "Time to the first mask"
    publish(Measured(title, rows, [], notes), MODULE, argv, arguments.output)


if __name__ == "__main__":
    main()
