"""Bounds on the memory that images at full size take in one process."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import threading
from collections.abc import Iterator

# A process holds one image above this many pixels at full size, not one in every thread.
LARGE_PIXELS = 16_000_000
# M_TRIM_THRESHOLD, M_MMAP_THRESHOLD and M_ARENA_MAX of the GNU C library; it keeps 256 MiB at most.
_MALLOC_OPTIONS = {-1: 256 << 20, -3: 32 << 20, -8: 2}

# Reentrant: the thread that decodes a large image decodes its large ground truth, too.
_large = threading.RLock()


@contextlib.contextmanager
def room_for(pixels: int) -> Iterator[None]:
    """Waits until an image of this size may be held at full size, and reserves the room.

    Never yield an element of a stage inside: the consumer may need the same room, and would wait
    for ever.
    """
    with _large if pixels > LARGE_PIXELS else contextlib.nullcontext():
        yield


@functools.cache
def keep_freed_memory() -> None:
    """Lets the C library keep freed memory for the arrays of the next image.

    The GNU library returns megabytes to the system at once and asks for them again, cleared, with
    every image: 4 of the 27 ms that an image of 1 megapixel takes beside the network.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option, value in _MALLOC_OPTIONS.items():
            mallopt(option, value)
