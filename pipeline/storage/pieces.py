"""Bytes of files that nobody vouches for, read piece by piece.

A single read would reserve as much memory as a length claims, whether the bytes are there or not.
"""

from __future__ import annotations

from typing import BinaryIO

# Bytes of one read.
PIECE = 1 << 20
# What has to be read to be skipped, as in a compressed file, is at most this long: it takes time.
MAX_SKIPPED = 1 << 30


def read_bytes(file: BinaryIO, size: int) -> bytes:
    """That many bytes, or fewer at the end of the file."""
    pieces = []
    while size > 0 and (piece := file.read(min(size, PIECE))):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def skip_bytes(file: BinaryIO, size: int) -> None:
    """Reads on over that many bytes, or to the end of the file."""
    while size > 0 and (piece := file.read(min(size, PIECE))):
        size -= len(piece)
