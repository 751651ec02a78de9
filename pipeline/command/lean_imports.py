"""What Beam would import and no job needs."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def without_pandas() -> Iterator[None]:
    """Beam is imported as where pandas is not installed, which takes two thirds of the time.

    Beam uses it for data frames alone. Afterwards it can be imported as ever.
    """
    if "pandas" in sys.modules:
        yield
        return
    sys.modules["pandas"] = None  # Importing it raises an ImportError.
    try:
        yield
    finally:
        del sys.modules["pandas"]
