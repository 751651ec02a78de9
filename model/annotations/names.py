"""Which image the name in an annotation file means.

Tools keep a whole path, the path below some folder, or the file's name alone. A name means the
image whose key or path it is; else the one whose path ends in it; else the one whose key it ends
in. Last comes the same without the suffix of a picture, in which a mask and its photo differ.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

_SUFFIX = re.compile(
    r"(\.(jpe?g|jpe|jfif|mpo|a?png|webp|bmp|dib|tiff?|gif|avif|hei[cf]|jp2|p[bgpn]m))+$", re.I
)


class Image(NamedTuple):
    """An image that names may mean.

    Attributes:
        key: Its path below the folder of the images.
        path: Its whole path.
    """

    key: str
    path: str


class Meant(NamedTuple):
    """What names mean.

    Attributes:
        images: Number of the name to number of its image.
        ambiguous: Numbers of the names that could mean several images.
        doubled: Numbers of the names that mean the image of another.
    """

    images: dict[int, int]
    ambiguous: list[int]
    doubled: list[int]


def file_name(name: str) -> str:
    """A name without its folders and the suffix of a picture.

    Names that differ in it mean different images.
    """
    return _SUFFIX.sub("", _form(name).rpartition("/")[2])


def images_of(names: Sequence[str], images: Sequence[Image]) -> Meant:
    """Finds the image that each of some names means. No image is meant by two.

    Args:
        names: Names, as an annotation file has them.
        images: The images.
    """
    meant = Meant({}, [], [])
    taken: set[int] = set()
    left = range(len(names))
    for without_suffix in (False, True):
        places = _Places(images, without_suffix)
        # All names by a strict rule before any by the next: a rough one must not take its image.
        for rule in (places.whole, places.ends, places.beyond):
            before, left = left, []
            for number in before:
                found = rule(names[number])
                if not found:
                    left.append(number)
                elif len(found) > 1:
                    meant.ambiguous.append(number)
                elif found[0] in taken:
                    meant.doubled.append(number)
                else:
                    meant.images[number] = found[0]
                    taken.add(found[0])
    return meant


class _Places:
    """Numbers of images by their keys, their paths, and the ends of these."""

    def __init__(self, images: Sequence[Image], without_suffix: bool):
        self._without_suffix = without_suffix
        self._keys: dict[str, list[int]] = defaultdict(list)
        self._whole: dict[str, list[int]] = defaultdict(list)
        self._ends: dict[str, list[int]] = defaultdict(list)
        for number, image in enumerate(images):
            key, path = self._form(image.key), self._form(image.path)
            self._keys[key].append(number)
            for whole in {key, path}:
                self._whole[whole].append(number)
            for end in {*_ends(key), *_ends(path)}:
                self._ends[end].append(number)

    def whole(self, name: str) -> list[int]:
        """The images that have a name as their key or path."""
        return self._whole.get(self._form(name), [])

    def ends(self, name: str) -> list[int]:
        """Those whose key or path ends in it."""
        return self._ends.get(self._form(name).lstrip("/"), [])

    def beyond(self, name: str) -> list[int]:
        """Those whose key it ends in: of the longest such keys."""
        found = (self._keys.get(end, []) for end in _ends(self._form(name)))
        return next(filter(None, found), [])

    def _form(self, name: str) -> str:
        return _SUFFIX.sub("", _form(name)) if self._without_suffix else _form(name)


def _form(name: str) -> str:
    return unicodedata.normalize("NFC", name.replace("\\", "/"))


def _ends(path: str) -> list[str]:
    """What a path ends in, whole parts at a time, the longest first."""
    parts = path.lstrip("/").split("/")
    return ["/".join(parts[start:]) for start in range(len(parts))]
