"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Writes a file under a temporary name, then moves it to its own.

    Args:
        path: The file to write. An existing file is replaced; its folder must exist.

    Yields:
        A new path in the same folder, with the same suffixes, for the block to write. When the
        block raises, that file is removed and ``path`` stays as it was.

    Raises:
        OSError: The file cannot be moved, or the block wrote none.
    """
    temporary = path.with_name(f".{secrets.token_hex(8)}.{path.name}")
    try:
        yield temporary
        # Otherwise a power failure can leave the new name on an empty file.
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
