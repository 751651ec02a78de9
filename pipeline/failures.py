"""How an error becomes the failure of one image, and which errors end the whole job.

Plain functions return a result or raise. ``attempt`` turns what they raise into a ``Failure`` that
names the stage; nothing else in the pipeline does.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, ParamSpec, TypeVar

MESSAGE_LENGTH = 200

P = ParamSpec("P")
T = TypeVar("T")


class BadImage(ValueError):
    """An input that cannot be used. The input is at fault, not the pipeline.

    Attributes:
        reason: A short code to count by, such as ``"too_large"``.
    """

    reason: str

    def __init__(self, reason: str, message: str):
        super().__init__(message)
        self.reason = reason


class TimedOut(BadImage):
    """A read that took longer than it may."""

    def __init__(self, message: str):
        super().__init__("timed_out", message)


class OutputLost(Exception):
    """Nothing can be written to the output folder any more. What is there is kept."""


@dataclass(frozen=True)
class Failure:
    """An image that has no mask, or whose ground truth cannot be read, and why.

    Attributes:
        key: The image's key, or the file's path where the image has no key yet.
        stage: ``"index"``, ``"read"``, ``"decode"``, ``"segment"``, ``"write"`` or ``"score"``.
        reason: A short code to count by: that of a ``BadImage``, else the exception's class.
        message: One line for people, at most ``MESSAGE_LENGTH`` characters.
    """

    key: str
    stage: str
    reason: str
    message: str

    @classmethod
    def of(cls, key: str, stage: str, error: Exception) -> Failure:
        """The failure of one image by an exception."""
        reason = error.reason if isinstance(error, BadImage) else type(error).__name__
        lines = str(error).splitlines() or [""]
        return cls(key, stage, reason, lines[0][:MESSAGE_LENGTH])

    def to_json(self) -> str:
        """One line of a failures file."""
        return json.dumps(
            {
                "key": self.key,
                "stage": self.stage,
                "reason": self.reason,
                "message": self.message,
            }
        )


@dataclass(frozen=True)
class Attempt(Generic[T]):
    """What a stage made of one image: a result or a failure, never both.

    Attributes:
        result: The result; None after a failure.
        failure: The failure; None after a success.
    """

    result: T | None = None
    failure: Failure | None = None


def attempt(
    stage: str, key: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> Attempt[T]:
    """Calls a function and turns what it raises into a failure of the image.

    Args:
        stage: The stage that the failure names.
        key: The image's key.
        function: Returns the result or raises.
        *args: Its arguments.
        **kwargs: Its arguments by name.

    Raises:
        OutputLost: The function raised it. No other image would fare better.
    """
    try:
        return Attempt(function(*args, **kwargs))
    except OutputLost:
        raise
    except Exception as error:
        return Attempt(failure=Failure.of(key, stage, error))
