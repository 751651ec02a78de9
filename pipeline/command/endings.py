"""How a job ended before it was done, and how to go on, in words."""

from __future__ import annotations

from pipeline.command.options import AnnotateOptions
from pipeline.failures import ended_by


class JobEnded(Exception):
    """The job ended before it was done."""


# What Beam raises where a worker process is gone that it reads from.
_WORKER_GONE = "Channel closed prematurely."


class OutOfTouch(Exception):
    """Nothing is known any more of a job that does not need this command."""


def how_to_go_on(options: AnnotateOptions) -> str:
    """What becomes of the work of a job that ended early."""
    instead = " instead of --overwrite" if options.overwrite else ""
    return (
        f"what is finished is kept, and the same command with --resume{instead} goes on from there"
    )


def reason_of(error: Exception) -> str:
    """One line that says why a job ended."""
    if isinstance(error, JobEnded | OutOfTouch):
        return str(error)
    if lost_its_worker(error):
        return "the job broke: a worker process has died; was it killed, or is memory short?"
    return f"the job broke: {last_line(ended_by(error) or error)}"


def is_understood(error: Exception) -> bool:
    """Whether ``reason_of`` says all that a user has to know."""
    known = isinstance(error, JobEnded | OutOfTouch) or lost_its_worker(error)
    return known or ended_by(error) is not None


def lost_its_worker(error: Exception) -> bool:
    """Whether the runner has noticed that one of its worker processes is gone."""
    return isinstance(error, RuntimeError) and str(error) == _WORKER_GONE


def last_line(error: Exception) -> str:
    """The line of an error that says most."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    # A worker in another process sends its traceback as text; the last line is the error.
    is_sent = "Traceback" in "".join(lines[:2]) or lines[0].startswith("Dataflow pipeline failed")
    return lines[-1 if is_sent else 0]
