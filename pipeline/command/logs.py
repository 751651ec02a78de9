"""What the command logs: results are printed, and nothing is said twice."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator


@contextlib.contextmanager
def without_import_notices() -> Iterator[None]:
    """Hides the notice of Beam's import that its parts for Google Cloud are not installed."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def set_up_logging() -> None:
    """Hides what Beam logs of every job, and of an error that breaks one: Beam raises it, too."""
    logging.getLogger("apache_beam.runners.common").setLevel(logging.CRITICAL)
    workers = logging.getLogger("apache_beam.runners.portability.local_job_service")
    workers.addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a worker process says more than that it has no folder; none of this machine has."""
    return "No semi_persistent_directory found" not in record.getMessage()
