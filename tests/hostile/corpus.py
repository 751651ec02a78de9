"""The corpus of hostile files in a folder: python -m tests.hostile.corpus FOLDER."""

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.hostile.containers import gray_png
from tests.hostile.images import hostile_images
from tests.hostile.shards import hostile_shards

# What a file system of Unix allows, and what some system, shell or pattern trips over.
FILE_NAMES = (
    "line\nbreak.png",
    "carriage\rreturn.png",
    "tab\t.png",
    "\x01\x1b[31m\x7f.png",
    "-rf.png",
    "--output=x.png",
    "~.png",
    "~root.png",
    " .png",
    " a.png",
    "a .png",
    "...png",
    "dots....png",
    ".png.png",
    "CON.png",
    "nul.jpg",
    "com1.tar.png",
    "case.png",
    "Case.png",
    "CASE.PNG",
    "caf\N{LATIN SMALL LETTER E WITH ACUTE}.png",
    "cafe\N{COMBINING ACUTE ACCENT}.png",
    "stra\N{LATIN SMALL LETTER SHARP S}e.png",
    "STRASSE.png",
    "same.png",
    "same.jpg",
    "same.png.jpg",
    "mask.png",
    "mask.png.d/mask.png.png",
    "like a mask.png/inner.png",
    "like a mask.jpg",
    "glob [a-z].png",
    "glob *.png",
    "glob ?.png",
    "{a,b}.png",
    "$(touch hostile-was-here).png",
    "`touch hostile-was-here`.png",
    "; touch hostile-was-here;.png",
    "a|b.png",
    "a\\b.png",
    "..\\..\\up.png",
    "C:\\x.png",
    "'\".png",
    "%00%2e%2e%2f.png",
    "\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe.png",
    "\N{ZERO WIDTH SPACE}.png",
    "\N{LINE SEPARATOR}.png",
    "x" * 251 + ".png",
    "\N{CJK UNIFIED IDEOGRAPH-5B57}" * 83 + ".png",
    "-00000-of-00001.tfrecord.png",
    os.fsdecode(b"\xff\xfe no UTF-8.png"),
)


@dataclass(frozen=True)
class Made:
    """A file of the corpus and what a job over its folder owes for it.

    Attributes:
        kind: What is wrong with it.
        path: Below the folder.
        keys: Of the rows or failures, one for each; ``""`` where the job makes up a name.
        rest: Whether a failure for the rest of a shard is owed, too.
    """

    kind: str
    path: str
    keys: tuple[str, ...]
    rest: bool = False


def make_corpus(folder: Path) -> list[Made]:
    """Writes the corpus, the same every time, and says what was made."""
    made = []
    for number, (kind, suffix, data) in enumerate(hostile_images()):
        path = f"images/{number:03} {_plain(kind)}{suffix}"
        made.append(_write(folder, Made(kind, path, (path,)), data))
    for name in FILE_NAMES:
        path = f"names/{name}"
        one = Made(f"file named {ascii(name)[:60]}", path, (path if _is_text(name) else "",))
        made.append(_write(folder, one, gray_png()))
    for number, shard in enumerate(hostile_shards()):
        path = f"shards/{number:03} {_plain(shard.kind)}{shard.suffix}"
        one = Made(shard.kind, path, shard.keys, shard.rest)
        made.append(_write(folder, one, shard.data))
    return [one for one in made if one]


def _write(folder: Path, made: Made, data: bytes) -> Made | None:
    path = folder / made.path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "xb") as file:
            file.write(data)
    except OSError:  # This file system takes no such name, or sees two names as one.
        return None
    return made


def _is_text(name: str) -> bool:
    return not re.search(r"[\ud800-\udfff]", name)


def _plain(kind: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", kind)[:60]


if __name__ == "__main__":
    for one in make_corpus(Path(sys.argv[1])):
        print(f"{one.kind:50} {one.path!a}")
