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
    """Hides Beam's log of an error that breaks a job: Beam raises it, too."""
    logging.getLogger("apache_beam.runners.common").setLevel(logging.CRITICAL)
