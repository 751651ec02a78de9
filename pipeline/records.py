"""What flows between the stages.

Sizes are (width, height) in pixels of the upright image. Pixels and maps are (height, width).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace

import numpy as np

from pipeline.failures import Failure


@dataclass(frozen=True, order=True)
class ListedFile:
    """A file that a pattern or a manifest names.

    Attributes:
        path: Its path.
        folder: The part of the path that keys leave out.
        size: Its bytes; 0 if nobody has listed it.
        stamp: What a listing says of it, and what changes when it does; empty if nobody has.
        name: The key that a manifest gives it; empty for the rest of its path.
        truth: The ground truth that a manifest gives it; empty for none.
    """

    path: str
    folder: str
    size: int = 0
    stamp: str = ""
    name: str = ""
    truth: str = ""

    @property
    def key(self) -> str:
        """What the file is called."""
        return self.name or self.path[len(self.folder) :]


@dataclass(frozen=True)
class Chunk:
    """Records of a shard that follow one another; all of them by default.

    Attributes:
        offset: Where in the shard they start: in bytes, or in rows of Parquet.
        first: Number of the first.
        count: How many there are; None for all to the shard's end.
        is_last: Whether they are the shard's last.
        renamed: (number, key, mask) of the records whose names others of the shard have, too.
        form: The shard's format: ``"tfrecord"``, ``"webdataset"`` or ``"parquet"``.
    """

    offset: int = 0
    first: int = 0
    count: int | None = None
    is_last: bool = True
    renamed: tuple[tuple[int, str, str], ...] = ()
    form: str = "tfrecord"


@dataclass(frozen=True)
class Source:
    """Where images are to be read from. It names files and holds none.

    Attributes:
        path: An image file or a shard.
        key: The image's key; of a shard, what the keys of its records begin with.
        mask: Path of the mask below the output folder; of a shard, the folder of its masks. Where
            existing masks are scored: the path of that mask. No other source has it.
        truth: The image file's ground truth, or None.
        size: Bytes of the file; 0 if nothing has listed it.
        stamp: What a listing says of the image and its truth, and what changes when they do; empty
            if nothing has listed them.
        folder: The part of the path that names leave out when it is joined with its truth.
        chunk: Which records of a shard; None for an image file.
        finished: What an earlier run has made of it, to be compared with what is read.
        truth_fault: Why none of the truths that are there can be used; empty as a rule.
    """

    path: str
    key: str
    mask: str
    truth: str | None = None
    size: int = 0
    stamp: str = ""
    folder: str = ""
    chunk: Chunk | None = None
    finished: tuple[Finished, ...] = ()
    truth_fault: str = ""


@dataclass(frozen=True)
class Note:
    """Something about the input that is no failure, but must be said at the end.

    Attributes:
        kind: What is said after the number of cases, such as ``"images have no ground truth"``.
        example: The path of one case.
        count: Number of cases.
    """

    kind: str
    example: str
    count: int = 1


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
class Origin:
    """What an image was read from.

    Attributes:
        source: ``mask`` of its ``Source``.
        stamp: ``stamp`` of its ``Source``.
        number: Of the record in its shard; 0 for an image file.
        is_last: Whether no record follows in its shard.
        path: The image file, or the shard.
        truth: The file of its ground truth, or its place in a shard of truths; empty if it has
            none, or is a record itself.
    """

    source: str = ""
    stamp: str = ""
    number: int = 0
    is_last: bool = True
    path: str = ""
    truth: str = ""


@dataclass(frozen=True)
class Stored:
    """Where the encoded mask of an image is that has no file of its own.

    Attributes:
        file: Path below the output folder: of a part, until the job puts parts together, then of a
            shard.
        offset: Where in the part the mask starts, in bytes; the image follows it.
        mask_bytes: Bytes of the mask.
        image_bytes: Bytes of the image; 0 if it is not kept.
    """

    file: str
    offset: int
    mask_bytes: int
    image_bytes: int = 0


@dataclass(frozen=True)
class Item:
    """What an image is called, where its mask is, and what it is made of.

    Attributes:
        key: Path below the input's folder; of a record, the path of the shard below it and the
            record's own name. Where another has the same: the whole path of image or shard.
        mask: Path of the mask below the output folder, shared with no other image. Where existing
            masks are scored: the path of that mask.
        content: Digest of key, image and ground truth, see ``content_of``.
        truth: The ground truth, or None.
        guess: What was guessed when the image was decoded, in words; empty as a rule.
        origin: Where a resumed run finds it again.
        photo: The encoded image, carried only where it is written again; else empty.
        stored: Where the mask is, if it has no file of its own, or None.
    """

    key: str
    mask: str
    content: str = ""
    truth: Truth | None = None
    guess: str = ""
    origin: Origin = Origin()
    photo: bytes = field(default=b"", repr=False)
    stored: Stored | None = None

    def without_truth(self) -> Item:
        """The same item for a row: rows are grouped, and must not carry images."""
        return replace(self, truth=None, photo=b"")


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
        level_counts: What the curves of the data set are made of, see ``LevelCounts.to_bytes``;
            None without truth.
    """

    item: Item
    size: tuple[int, int]
    status: str
    values: dict
    level_counts: bytes | None = field(default=None, repr=False)

    @property
    def key(self) -> str:
        """The image's key."""
        return self.item.key

    def to_json(self) -> str:
        """One line of a metrics file."""
        width, height = self.size
        head = {"key": self.key, "status": self.status, "mask": self.item.mask}
        if self.item.stored is not None:
            head["mask_shard"] = self.item.stored.file
        return json.dumps({**head, "width": width, "height": height, **self.values})


@dataclass(frozen=True)
class Finished:
    """An image that an earlier run has finished.

    Attributes:
        row: Its row.
        mask_is_there: Whether its mask is, and what else was written beside it.
    """

    row: MetricsRow
    mask_is_there: bool


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
