"""What went wrong in a network, in one line."""

from __future__ import annotations

import re
import textwrap

# How TensorFlow begins what it says of an error in a graph, and OpenVINO of one in its code.
_SAYS_NOTHING = re.compile(
    r"\s*$|Graph execution error|Detected at node|<stack traces|\s*File |Exception from |Check '"
)


def one_line(error: BaseException) -> str:
    """Returns the first line, shortened, of the original error: Keras wraps it in long ones.

    Args:
        error: The error that was caught.
    """
    while error.__context__ is not None:
        error = error.__context__
    lines = [line for line in str(error).splitlines() if not _SAYS_NOTHING.match(line)]
    return textwrap.shorten((lines or [type(error).__name__])[0], 200, placeholder=" ...")


def fails(size: tuple[int, ...], error: BaseException) -> str:
    """Says that a network fails on images.

    Args:
        size: Shape of an image.
        error: What it raised.
    """
    return f"the model fails on an image {size}: {one_line(error)}; another image_size may do"
