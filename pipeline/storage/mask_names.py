"""Names of masks: always below the output folder, and never the same for two images."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from model.image_formats import IMAGE_SUFFIXES
from pipeline.output_layout import CUTOUTS, MASKS, OVERLAYS

LONGEST_PART = 100
LONGEST_NAME = 400

_SHARD_SUFFIX = re.compile(
    r"(\.gz$)|\.(tfrecords?|tfrec|records?|tar|tgz|parquet)(?=(-\d+-of-\d+)?(\.gz)?$)",
    re.IGNORECASE,
)

# Control characters, characters that some file system refuses, line breaks and marks that change
# the direction of writing, and lone surrogates.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"|?*\u2028-\u202e\u2066-\u2069\ud800-\udfff]')
_DEVICE = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|com[\d\xb9\xb2\xb3]|lpt[\d\xb9\xb2\xb3])\s*(\..*)?",
    re.IGNORECASE,
)


class Named(NamedTuple):
    """The final name of an image or a shard.

    Attributes:
        key: The key that is shown; of a shard, what the keys of its records begin with.
        mask: Path of the mask below the output folder; of a shard, the folder of its masks.
    """

    key: str
    mask: str


def claim_of_image(key: str) -> str:
    """What an image's key lays claim to; images with different claims never share a mask.

    Names are folded, as file systems that ignore case compare them.
    """
    return _folded(_safe(stem(key)))


def claim_of_shard(key: str) -> str:
    """What a shard's key lays claim to: the folder of its masks."""
    return _folded(_safe_folder(shard_stem(key))) + "/"


def claims_of_folders(claim: str) -> set[str]:
    """The claims of the folders in which the masks of an image or a shard with a claim lie."""
    folders = claim.rstrip("/").split("/")[:-1]
    return {"/".join(folders[:depth]) + "/" for depth in range(1, len(folders) + 1)}


def name_images(images: Sequence[tuple[str, str]]) -> list[Named]:
    """Names the images of one claim, and their masks.

    A mask is ``masks/<key without suffix>.png``. If another image claims that name, or if it ends
    in a suffix of images itself, the whole key stays in it. If that name is claimed, too, the mask
    lies in a folder named by a hash of the image's place. Where two images have the same key, the
    place becomes the key.

    Args:
        images: (key, place) of each image of the claim. A key may hold anything; the place is
            different for every image.
    """
    keys = Counter(key for key, _ in images)
    wholes = Counter(_folded(_candidates(key)[1]) for key in keys.elements())
    named = []
    for key, place in images:
        without_suffix, whole = _candidates(key)
        if len(images) == 1 and not _folded(without_suffix).endswith(IMAGE_SUFFIXES):
            mask = without_suffix
        elif wholes[_folded(whole)] == 1:
            mask = whole
        else:
            mask = f"~{_hash(place)}/{whole}"
        named.append(Named(place if keys[key] > 1 else key, f"{MASKS}/{mask}.png"))
    return named


def name_shard(key: str, place: str, *, is_alone: bool) -> Named:
    """Names a shard, and the folder of its masks.

    Args:
        key: The shard's key.
        place: Its whole path.
        is_alone: Whether no other shard, and no folder of other masks, has its claim.
    """
    if is_alone:
        return Named(shard_stem(key), f"{MASKS}/{_safe_folder(shard_stem(key))}")
    return Named(place, f"{MASKS}/~{_hash(place)}/{_safe_folder(key)}")


class RecordNames:
    """Names the records of a shard one after the other, and tells them apart.

    A mask has the record's name without suffix; with its suffix if an earlier record has that name;
    and with the record's number if an earlier one has that, too. A key that an earlier record has
    is followed by the record's number.

    Args:
        shard: The name of the shard.
    """

    def __init__(self, shard: Named):
        self._shard = shard
        self._taken: set[str] = set()
        self._keys: set[str] = set()

    def name(self, own: str, number: int) -> Named:
        """The name of the next record.

        Args:
            own: The name that the record has in the shard; it may hold anything, or nothing.
            number: The record's number.
        """
        plain = plain_name(self._shard, own, number)
        key = plain.key
        while key in self._keys:
            key = f"{key}#{number}"
        whole = own and _candidates(own)[1]
        for name in filter(None, (_below(self._shard, plain), whole)):
            if _folded(name) not in self._taken:
                break
        else:
            name = f"{whole or number}~{number}"
            while _folded(name) in self._taken:
                name = f"{name}~{number}"
        self._taken.add(_folded(name))
        self._keys.add(key)
        return Named(key, f"{self._shard.mask}/{name}.png")


def plain_name(shard: Named, own: str, number: int) -> Named:
    """The name of a record that no other of its shard claims; see ``RecordNames.name``."""
    name = _candidates(own)[0] if own else f"{number:06}"
    return Named(f"{shard.key}/{own or name}", f"{shard.mask}/{name}.png")


def cutout_of(mask: str, suffix: str) -> str:
    """The path of the cutout that is written beside a mask."""
    return f"{CUTOUTS}/{_without_ends(mask)}.{suffix}"


def overlay_of(mask: str) -> str:
    """The path of the overlay that is written beside a mask."""
    return f"{OVERLAYS}/{_without_ends(mask)}.jpg"


def member_of(mask: str) -> str:
    """What the members of a WebDataset shard that belong to a mask are called, up to the first dot.

    It is the mask's name, with ``%2E`` for dots in its last part, and ``%25`` for ``%``:
    ``urllib.parse.unquote`` gives the name back.
    """
    folder, slash, name = _without_ends(mask).rpartition("/")
    return folder + slash + name.replace("%", "%25").replace(".", "%2E")


def shard_stem(key: str) -> str:
    """The key of a shard without its suffix, but with its number of how many."""
    return _SHARD_SUFFIX.sub("", key)


def stem(key: str) -> str:
    """The key without the suffix of an image."""
    for suffix in IMAGE_SUFFIXES:
        if key.lower().endswith(suffix):
            return key[: -len(suffix)]
    return key


def _without_ends(mask: str) -> str:
    """A mask's path below the folder of masks, without suffix."""
    return mask[len(MASKS) + 1 : -len(".png")]


def _candidates(key: str) -> tuple[str, str]:
    suffix = key[len(stem(key)) :]
    safe = _safe(stem(key))
    return safe, safe + suffix


def _below(shard: Named, record: Named) -> str:
    """The name of a mask below the folder of its shard."""
    return record.mask[len(shard.mask) + 1 : -len(".png")]


def _safe_folder(name: str) -> str:
    """As ``_safe``, for a folder."""
    safe = _safe(name)
    # A folder and a mask cannot have the same name.
    return f"{safe}_" if safe.lower().endswith(".png") else safe


def _safe(name: str) -> str:
    """A relative path that every file system accepts. A hash marks a name that was changed."""
    parts = []
    for part in re.split(r"[/\\]", unicodedata.normalize("NFC", name)):
        part = _UNSAFE.sub("_", part).encode()[:LONGEST_PART].decode(errors="ignore").rstrip(". ")
        # A leading ~ is reserved for masks in a folder named by a hash.
        if part and not part.startswith("~"):
            parts.append(f"_{part}" if _DEVICE.fullmatch(part) else part)
    # A folder and a mask cannot have the same name.
    parts[:-1] = [f"{part}_" if part.lower().endswith(".png") else part for part in parts[:-1]]
    safe = "/".join(parts)
    if len(safe.encode()) > LONGEST_NAME:
        safe = parts[-1]
    elif safe == name:
        return safe
    return f"{safe}~{_hash(name)}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:12]


def _folded(name: str) -> str:
    """Folds names that some file system takes for the same: by case, and by Unicode form."""
    decomposed = unicodedata.normalize("NFD", name)
    return unicodedata.normalize("NFC", decomposed.upper().casefold())
