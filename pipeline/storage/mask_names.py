"""Names of masks: always below the output folder, and never the same for two images."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Collection

from pipeline.image_formats import IMAGE_SUFFIXES
from pipeline.output_layout import MASKS

LONGEST_PART = 100
LONGEST_NAME = 400

# Control characters, characters that some file system refuses, line breaks and marks that change
# the direction of writing, and lone surrogates.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"|?*\u2028-\u202e\u2066-\u2069\ud800-\udfff]')
_DEVICE = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|com[\d\xb9\xb2\xb3]|lpt[\d\xb9\xb2\xb3])\s*(\..*)?",
    re.IGNORECASE,
)


def claims(key: str) -> set[str]:
    """What a key lays claim to: itself, and each name that its mask could have.

    Names are folded, as file systems that ignore case compare them.
    """
    return {_key_itself(key), *(_folded(name) for name in _candidates(key))}


def own_names(key: str, taken: Collection[str], place: str) -> tuple[str, str]:
    """The final key of an image, and a name for its mask that no other mask has.

    Args:
        key: The image's key; it may hold anything.
        taken: What more than one image ``claims``.
        place: Where the image was read, different for every image.

    Returns:
        The key and the path of the mask below the output folder. The mask is ``masks/<key without
        suffix>.png``. If another image claims that name, the suffix stays in it. If that name is
        claimed, too, the mask lies in a folder named by a hash of ``place``. Where two images have
        the same key, ``place`` becomes the key.
    """
    without_suffix, whole = _candidates(key)
    for name in (without_suffix, whole):
        if _folded(name) not in taken:
            return key, f"{MASKS}/{name}.png"
    shown = place if _key_itself(key) in taken else key
    return shown, f"{MASKS}/~{_hash(place)}/{whole}.png"


def stem(key: str) -> str:
    """The key without the suffix of an image."""
    for suffix in IMAGE_SUFFIXES:
        if key.lower().endswith(suffix):
            return key[: -len(suffix)]
    return key


def _key_itself(key: str) -> str:
    """A claim on the key itself, which no name of a mask can equal."""
    return f"\0{_hash(key)}"


def _candidates(key: str) -> tuple[str, str]:
    suffix = key[len(stem(key)) :]
    safe = _safe(stem(key))
    return safe, safe + suffix


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
