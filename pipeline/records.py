"""What flows between the stages.

Sizes are (width, height) in pixels of the upright image. Pixels and maps are (height, width).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace

import numpy as np

from pipeline.failures import Failure


@dataclass(frozen=True)
class Source:
    """Where images are to be read from. It names files and holds none.

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
class Note:
    """Something about the input that is no failure, but must be said at the end.

    Attributes:
        kind: What is said after the number of cases, such as ``"images have no ground truth"``.
        example: The path of one case.
    """

    kind: str
    example: str


@dataclass(frozen=True)
class Truth:
    """The ground truth of an image, as it is stored.

    Attributes:
        encoded: The encoded mask; empty if it cannot be read.
        failure: Why it cannot be read, or None.
    """

    encoded: bytes = b""
    failure: Failure | None = None


@dataclass(frozen=True)
class Item:
    """What an image is called, where its mask is, and what it is made of.

    Attributes:
        key: Path below the input's folder, or the record's own name in a shard. Where another
            image has the same key: the whole path, or the shard's path and the record's number.
        mask: Path of the mask below the output folder, shared with no other image. Where existing
            masks are scored: the path of that mask.
        content: Digest of key, image and ground truth, see ``content_of``.
        truth: The ground truth, or None.
        guess: What was guessed when the image was decoded, in words; empty as a rule.
    """

    key: str
    mask: str
    content: str = ""
    truth: Truth | None = None
    guess: str = ""

    def without_truth(self) -> Item:
        """The same item for a row: rows are grouped, and must not carry images."""
        return replace(self, truth=None)


@dataclass(frozen=True)
class ImageRecord:
    """An image as it is stored.

    Attributes:
        item: Its identity.
        image: The encoded image.
    """

    item: Item
    image: bytes


@dataclass(frozen=True)
class DecodedImage:
    """An image as the network takes it.

    Attributes:
        item: Its identity.
        pixels: uint8 (S, S, 3), RGB.
        size: (width, height) of the upright image.
    """

    item: Item
    pixels: np.ndarray
    size: tuple[int, int]


@dataclass(frozen=True)
class Prediction:
    """The saliency map of an image, at the network's size.

    Attributes:
        item: Its identity.
        probability: float32 (S, S) in [0, 1].
        size: (width, height) of the upright image.
    """

    item: Item
    probability: np.ndarray
    size: tuple[int, int]


@dataclass(frozen=True)
class MetricsRow:
    """The figures of one image.

    Attributes:
        item: Its identity, without the ground truth.
        size: (width, height) of the upright image.
        status: ``"ok"``, or ``"bad_truth"`` if there is a ground truth that cannot be read or used.
        values: Name to figure, in the order of the file.
        f_curve: float64 (256,), F-measure at each threshold; None without truth.
        e_curve: float64 (256,), E-measure at each threshold; None without truth.
    """

    item: Item
    size: tuple[int, int]
    status: str
    values: dict
    f_curve: np.ndarray | None = field(default=None, repr=False)
    e_curve: np.ndarray | None = field(default=None, repr=False)

    @property
    def key(self) -> str:
        """The image's key."""
        return self.item.key

    def to_json(self) -> str:
        """One line of a metrics file."""
        width, height = self.size
        head = {"key": self.key, "status": self.status, "mask": self.item.mask}
        return json.dumps({**head, "width": width, "height": height, **self.values})


def content_of(key: str, image: bytes, truth: Truth | None) -> str:
    """32 hex digits that change when an image's name, bytes or ground truth do."""
    digest = hashlib.blake2b(digest_size=16)
    stored = b"" if truth is None else truth.encoded
    if truth is not None and truth.failure is not None:
        # Not its message, which may differ from time to time.
        stored = truth.failure.reason.encode()
    for part in (key.encode(errors="surrogatepass"), image, stored):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()
