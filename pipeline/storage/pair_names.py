"""The names by which files are joined with their ground truth.

A truth without ``{name}`` has the name of its path below the pattern's folder. Where the pattern
holds ``{name}``, that part is the name, and each wildcard before it (``*``, ``**``, ``?``, counted
from the left) stands for what the same wildcard of the image's pattern matched. The name of an
image is its path below the folder of the first wildcard that the truth does not repeat.

Names are compared in one Unicode form, and without any suffix of an image: ``x.jpg.png`` is the
truth of ``x.jpg``. Of images that differ in nothing else, the suffixes tell whose it is.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Sequence

from pipeline.records import ListedFile, Source
from pipeline.storage.mask_names import stem
from pipeline.storage.patterns import with_folder

NAME = "{name}"
# A set in brackets is matched, but not joined by: it may be meant literally.
_PARTS = re.compile(r"\*\*|\*|\?|\[[!^]?\]?[^\]]*\]")
_OPEN_SUFFIX = ".*"


def pair_name(key: str) -> str:
    """A path in the form in which names are compared."""
    name = unicodedata.normalize("NFC", key)
    while (shorter := stem(name)) != name:
        name = shorter
    return name


def suffixes_of(name: str) -> str:
    """What ``pair_name`` leaves out of a name: ``.jpg`` of ``x.jpg``."""
    name = unicodedata.normalize("NFC", name)
    return name[len(pair_name(name)) :]


def fault_of(truth: str) -> str:
    """What is wrong with the ``{name}`` of a pattern, in words; empty if nothing is."""
    _, name, after = truth.partition(NAME)
    if NAME in after:
        return f"{NAME} is there {truth.count(NAME)} times; give it once"
    if name and _wildcards(after.removesuffix(_OPEN_SUFFIX)):
        return f"after {NAME} nothing but the suffix can be left open, as in {NAME}_mask.*"
    return ""


def unknown_names(pattern: str) -> list[str]:
    """Words in braces that a user may have meant for ``{name}``."""
    return [word for word in re.findall(r"\{\w*\}", pattern) if word != NAME]


def joined_wildcards(pattern: str) -> int:
    """How many wildcards a pattern has: before its ``{name}``, if it has one."""
    return _wildcards(pattern.partition(NAME)[0])


def truth_glob(truth: str) -> str:
    """The glob or folder by which the truths of a pattern are listed."""
    return truth.replace(NAME, "**")


def name_of_truth(file: ListedFile | Source, truth: str) -> str:
    """The name of a ground truth.

    Args:
        file: Its path, and the part of it that keys leave out. A record of a shard has a name.
        truth: The pattern that it matched.
    """
    path, folder = file.path, file.folder
    if isinstance(file, ListedFile) and file.name:
        return pair_name(file.name)
    if NAME not in truth:
        return pair_name(path[len(folder) :])
    match = _match_of_truth(path, truth)
    if not match:  # Such as x.png for **/{name}/x.png: nothing is left for the name.
        return _nameless(path)
    *captured, name = match.groups()
    return _name(name, captured)


def suffixes_of_image(file: ListedFile | Source) -> str:
    """The suffixes by which images of one name differ; of a mask, those of its image."""
    if isinstance(file, Source):
        return suffixes_of(file.path)
    return suffixes_of(file.name or stem(file.path))


def suffixes_of_truth(file: ListedFile, truth: str) -> str:
    """The suffixes of the image that a truth names in full: ``.jpg`` where it is ``x.jpg.png``.

    Args:
        file: As for ``name_of_truth``.
        truth: The pattern that it matched.

    Returns:
        An empty text where the truth names an image without its suffix.
    """
    if file.name:
        return suffixes_of(file.name)
    if NAME not in truth:
        return suffixes_of(stem(file.path))
    match = _match_of_truth(file.path, truth)
    return suffixes_of(match.groups()[-1]) if match else ""


def name_of_image(file: ListedFile | Source, patterns: Sequence[str], truth: str) -> str:
    """The name of an image, or of a mask that is scored.

    Args:
        file: Its path, and the part of it that keys leave out. A mask in a shard has a name.
        patterns: The patterns of all images. The first that matches it counts.
        truth: The pattern of the ground truth; empty for none.
    """
    path, folder = file.path, file.folder
    if isinstance(file, ListedFile) and file.name:
        return pair_name(file.name)
    joined = joined_wildcards(truth) if NAME in truth else 0
    if not joined:
        return pair_name(path[len(folder) :])
    for pattern in map(with_folder, patterns):
        match = _expression(pattern).fullmatch(path)
        if match and len(match.groups()) >= joined:
            more = len(match.groups()) > joined
            end = match.start(joined + 1) if more else len(path)
            name = path[path.rfind("/", 0, end) + 1 :]
            return _name(name, match.groups()[:joined])
    return _nameless(path)


def _match_of_truth(path: str, truth: str) -> re.Match | None:
    """What the wildcards and the ``{name}`` of a pattern stand for in a path."""
    glob = truth_glob(truth)
    folder = with_folder(glob).removesuffix(glob)
    return _expression(folder + truth).fullmatch(path)


def _name(name: str, captured: Sequence[str]) -> str:
    return "\0".join(pair_name(part.strip("/")) for part in (name, *captured))


def _nameless(path: str) -> str:
    """The name of a file that is joined with none."""
    return f"\0{path}"


def _wildcards(pattern: str) -> int:
    return sum(not part.startswith("[") for part in _PARTS.findall(pattern))


@functools.lru_cache(maxsize=64)
def _expression(pattern: str) -> re.Pattern:
    """A glob as a regular expression that captures each wildcard, and ``{name}`` last."""
    before, name, after = pattern.partition(NAME)
    tail = ""
    if name and after.endswith(_OPEN_SUFFIX):
        after, tail = after.removesuffix(_OPEN_SUFFIX), r"\.[^./]*"
    middle = "(.+)" if name else ""
    return re.compile(f"(?s){_translated(before)}{middle}{_translated(after)}{tail}")


def _set(text: str) -> str:
    """A set in brackets as a regular expression."""
    inside = text[1:-1].replace("\\", "\\\\").replace("[", r"\[")
    if inside.startswith("!"):
        return f"[^{inside[1:]}]"
    return "[" + inside.replace("^", r"\^") + "]"


def _translated(glob: str) -> str:
    found, at = "", 0
    for part in _PARTS.finditer(glob):
        found += re.escape(glob[at : part.start()])
        at = part.end()
        text = part[0]
        if text == "**" and glob[: part.start()].endswith("/") and glob[at:].startswith("/"):
            found, at = f"{found}((?:.*/)?)", at + 1  # None or more folders.
        elif text.startswith("["):
            found += f"(?:{re.escape(text)}|{_set(text)})"
        else:
            found += {"**": "(.*)", "*": "([^/]*)", "?": "(.)"}[text]
    return found + re.escape(glob[at:])
