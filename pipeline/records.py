"""What flows between the stages.

Sizes are (width, height) in pixels of the upright image; pixels and maps are (height, width).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field

import numpy as np

MESSAGE_LENGTH = 200


@dataclass(frozen=True)
class Source:
    """Where images are to be read from; it names files, it holds none.

    Attributes:
        path: An image file or a shard.
        root: The folder that keys of image files are relative to.
        truth: The image file's ground truth, or None.
        offset: Where in the shard to start, in bytes.
        first: Number of the first record to read.
        count: How many records to read; None for an image file.
    """

    path: str
    root: str = ""
    truth: str | None = None
    offset: int = 0
    first: int = 0
    count: int | None = None


@dataclass(frozen=True)
class ImageRecord:
    """An image as it is stored.

    Attributes:
        key: Path below the input's folder, or the record's own name in a shard; where another
            image has the same, the whole path, or the shard's and the record's number.
        mask: Path of its mask below the output folder, shared with no other image.
        image: The encoded image.
        truth: The encoded ground-truth mask, why it cannot be read, or None.
        content: What ``content_of`` says of key, image and truth.
    """

    key: str
    mask: str
    image: bytes
    truth: bytes | Failure | None = None
    content: str = ""


@dataclass(frozen=True)
class Done:
    """An image whose mask and row an earlier run of the job has left.

    Attributes:
        mask: Path of its mask below the output folder.
    """

    mask: str


@dataclass(frozen=True)
class DecodedImage:
    """An image as the network takes it.

    Attributes:
        key: As in ``ImageRecord``.
        mask: As in ``ImageRecord``.
        pixels: uint8 (S, S, 3), RGB.
        size: (width, height) of the upright image.
        truth: As in ``ImageRecord``.
        content: As in ``ImageRecord``.
    """

    key: str
    mask: str
    pixels: np.ndarray
    size: tuple[int, int]
    truth: bytes | Failure | None
    content: str = ""


@dataclass(frozen=True)
class Prediction:
    """What the network says of an image, at the network's size.

    Attributes:
        key: As in ``ImageRecord``.
        mask: As in ``ImageRecord``.
        probability: float32 (S, S) in [0, 1].
        size: (width, height) of the upright image.
        truth: As in ``ImageRecord``.
        content: As in ``ImageRecord``.
    """

    key: str
    mask: str
    probability: np.ndarray
    size: tuple[int, int]
    truth: bytes | Failure | None
    content: str = ""


@dataclass(frozen=True)
class MetricsRow:
    """The figures of one image.

    Attributes:
        key: As in ``ImageRecord``.
        mask: As in ``ImageRecord``.
        size: (width, height) of the upright image.
        status: ``"ok"``, or ``"bad_truth"`` if there is a ground truth that cannot be read or used.
        values: Name to figure, in the order of the file.
        f_curve: float64 (256,), F-measure at each threshold; None without truth.
        e_curve: float64 (256,), E-measure at each threshold; None without truth.
        content: As in ``ImageRecord``; no part of the metrics file.
    """

    key: str
    mask: str
    size: tuple[int, int]
    status: str
    values: dict
    f_curve: np.ndarray | None = field(default=None, repr=False)
    e_curve: np.ndarray | None = field(default=None, repr=False)
    content: str = ""

    def to_json(self) -> str:
        """One line of a metrics file."""
        width, height = self.size
        head = {"key": self.key, "status": self.status, "mask": self.mask}
        return json.dumps({**head, "width": width, "height": height, **self.values})


@dataclass(frozen=True)
class Failure:
    """An image that has no mask, or whose ground truth cannot be read, and why.

    Attributes:
        key: As in ``ImageRecord``, or the file's path where no image could be told apart.
        stage: ``"read"``, ``"decode"``, ``"segment"``, ``"score"`` or ``"write"``.
        reason: A short code to count by.
        message: One line for people.
    """

    key: str
    stage: str
    reason: str
    message: str

    @classmethod
    def of(cls, key: str, stage: str, error: Exception) -> Failure:
        """The failure of one image by an exception; a ``BadImage`` brings its own reason."""
        reason = getattr(error, "reason", None)
        lines = str(error).splitlines() or [""]
        return cls(
            key,
            stage,
            reason if isinstance(reason, str) and " " not in reason else type(error).__name__,
            lines[0][:MESSAGE_LENGTH],
        )

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


def content_of(key: str, image: bytes, truth: bytes | Failure | None) -> str:
    """32 hex digits that change when an image's name, bytes or ground truth do."""
    digest = hashlib.blake2b(digest_size=16)
    if isinstance(truth, Failure):
        # Its message may differ from time to time.
        truth = truth.reason.encode()
    for part in (key.encode(errors="surrogatepass"), image, truth or b""):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()


class BadImage(ValueError):
    """An input that cannot be used, through no fault of the pipeline.

    Attributes:
        reason: A short code to count by, such as ``"truncated"``.
    """

    def __init__(self, reason: str, message: str):
        super().__init__(message)
        self.reason = reason


# Where results go that are not what a stage passes on.
TAGS = {Failure: "failures", Done: "done"}
