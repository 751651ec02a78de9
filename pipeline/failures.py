"""How an error becomes the failure of one image, and which errors end the whole job.

Plain functions return a result or raise. ``attempt`` turns what they raise into a ``Failure`` that
names the stage; nothing else in the pipeline does.
"""

from __future__ import annotations

import json
import re
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


class EndsJob(Exception):
    """No other image would fare better here: a runner tries the bundle elsewhere or ends the job.

    The message is one line for people.
    """


class OutputLost(EndsJob):
    """Nothing can be written to the output folder any more. What is there is kept."""


class InputLost(EndsJob):
    """Nothing can be read from where the input is any more."""


class BrokenWorker(EndsJob):
    """This worker cannot segment any image: its network cannot be loaded, or its GPU is lost."""


def ended_by(error: BaseException | None) -> EndsJob | None:
    """The ``EndsJob`` behind an error, also one that another process sent as text; or None."""
    found = None
    while error is not None:
        found = error if isinstance(error, EndsJob) else found
        for kind in EndsJob.__subclasses__():
            # Beam sends an error of another process as the text of its traceback.
            text = re.search(rf"^[\w.]*\b{kind.__name__}: (.+)", str(error), re.MULTILINE)
            found = found or (kind(text[1]) if text else None)
        error = error.__cause__ or error.__context__
    return found


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
        EndsJob: The function raised it.
    """
    try:
        return Attempt(function(*args, **kwargs))
    except EndsJob:
        raise
    except Exception as error:
        return Attempt(failure=Failure.of(key, stage, error))
