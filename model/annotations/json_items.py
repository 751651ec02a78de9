"""Items of JSON files that may be larger than memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

# Some programs put it before UTF-8.
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def json_items(file: BinaryIO, prefix: str) -> Iterator[Any]:
    """The items of a list, one at a time.

    Args:
        file: The file, which is read from its beginning.
        prefix: Where the list is, as ``ijson`` writes it.

    Raises:
        ijson.JSONError: The file is damaged.
    """
    # Imported here because few jobs read annotations.
    import ijson

    file.seek(0)
    if file.read(len(BYTE_ORDER_MARK)) != BYTE_ORDER_MARK:
        file.seek(0)
    yield from ijson.items(file, prefix, use_float=True)
