"""What libtiff says of a file, told to the image instead of the terminal.

libtiff goes on after an error in the data and leaves pixels as they were in memory, which differ
from run to run and may belong to another image. Pillow does not look at these errors.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import threading
from collections.abc import Iterator

from PIL import Image

_LONGEST = 200
_Handler = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)
_thread = threading.local()


@contextlib.contextmanager
def libtiff_errors() -> Iterator[list[str]]:
    """Collects the errors that libtiff reports in this thread while the block runs.

    Yields:
        A list that fills while the block runs. It stays empty where Pillow has libtiff built in
        such that its handlers cannot be reached (Windows).
    """
    _install_handlers()
    _thread.errors = []
    try:
        yield _thread.errors
    finally:
        del _thread.errors


@functools.cache
def _install_handlers() -> None:
    """Replaces libtiff's handlers, which print, once in a process."""
    libtiff = ctypes.CDLL(Image.core.__file__)
    with contextlib.suppress(AttributeError):
        libtiff.TIFFSetWarningHandler(_on_warning)
        libtiff.TIFFSetErrorHandler(_on_error)


@_Handler
def _on_warning(module: bytes, form: bytes, arguments: int) -> None:
    """Warnings are of metadata. They change no pixel."""


@_Handler
def _on_error(module: bytes, form: bytes, arguments: int) -> None:
    errors = getattr(_thread, "errors", None)
    if errors is not None:
        text = ctypes.create_string_buffer(_LONGEST)
        ctypes.CDLL(None).vsnprintf(
            text, ctypes.c_size_t(_LONGEST), form, ctypes.c_void_p(arguments)
        )
        errors.append(text.value.decode(errors="replace"))
