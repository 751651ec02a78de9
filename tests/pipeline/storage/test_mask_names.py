"""Names of masks: whatever keys hold, below the output folder and one for each image."""

import json
import os
import random
import subprocess
import sys
import tempfile
import unicodedata
from collections import Counter
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.storage.mask_names import claims, own_names, stem

ROOT = Path(__file__).parents[3]

HOSTILE = (
    "../../etc/passwd.jpg",
    "/etc/passwd.jpg",
    "//server/share/a.jpg",
    "C:\\Windows\\a.jpg",
    "..\\..\\a.jpg",
    "a/../../../b.png",
    "a/./b.jpg",
    "..",
    ".",
    "",
    "/",
    "\\",
    ".png",
    "~",
    "~/a.jpg",
    "~root.jpg",
    "a\0b.jpg",
    "a\nb.jpg",
    "a\r\nb.jpg",
    "a\u2028b.jpg",
    "\udce9.jpg",
    "a*b?c.jpg",
    "a|b<c>.jpg",
    'a"b.jpg',
    "x" * 5000,
    "x" * 5000 + ".jpg",
    "d/" * 2500 + "x.jpg",
    "\N{CJK UNIFIED IDEOGRAPH-5B57}" * 3000 + ".png",
    ("\N{CJK UNIFIED IDEOGRAPH-5B57}" * 90 + "/") * 9 + "x.jpg",
    "con.jpg",
    "NUL",
    "Aux.tar.jpg",
    "com1/lpt9.png",
    "a. .jpg",
    "a...",
    "folder./a.jpg",
    "a.png/b.jpg",
    "x" * 96 + ".png/b.jpg",
    "x" * 96 + ".pngs/b.jpg",
)


def places_of(keys):
    """What the pipeline does: names that several images claim are taken; then a name for each."""
    counts = Counter(name for key in keys for name in claims(key))
    taken = {name for name, count in counts.items() if count > 1}
    own = [own_names(key, taken, f"/shard#{number}") for number, key in enumerate(keys)]
    for number, (key, (name, path)) in enumerate(zip(keys, own, strict=True)):
        # Only what shares its very name, and so gets a folder for its mask, goes by its place.
        shared = keys.count(key) > 1 and path.startswith("masks/~")
        assert name == (f"/shard#{number}" if shared else key)
    return [path for _, path in own]


def as_stored(path):
    """As a file system sees it that ignores case and Unicode form, as macOS and Windows do."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold())


def check(keys):
    paths = places_of(keys)
    stored = {as_stored(path) for path in paths}
    assert len(stored) == len(paths), "two images share a file"
    folders = {
        str(parent) for path in stored for parent in PurePosixPath(path).parents if parent.name
    }
    assert not folders & stored, "a folder stands where a mask is to be"
    for path in paths:
        assert path.startswith("masks/") and path.endswith(".png")
        assert path.isprintable() and not set(path) & set('\\:*?"<>|')
        assert len(path.encode()) < 700
        *_, name = parts = path.split("/")
        assert not PurePosixPath(path).is_absolute() and not PureWindowsPath(path).is_absolute()
        for part in parts:
            assert part not in ("", ".", "..")
            assert len(part.encode()) <= 255
            assert part == part.rstrip(". ")
            assert part.split(".")[0].rstrip().lower() not in ("con", "prn", "aux", "nul", "com1")
        assert name.endswith(".png")
    return paths


@pytest.mark.parametrize("key", HOSTILE, ids=lambda key: ascii(key)[:30])
def test_a_hostile_key_stays_below_the_folder_alone_and_twice(key):
    check([key])
    check([key, key, key])


def test_all_hostile_keys_together_have_names_of_their_own():
    check(list(HOSTILE))
    check([*HOSTILE, *reversed(HOSTILE)])


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("a.jpg", "masks/a.png"),
        ("a/b/c.JPEG", "masks/a/b/c.png"),
        ("photo", "masks/photo.png"),
        ("v1.2.webp", "masks/v1.2.png"),
        ("notes.txt", "masks/notes.txt.png"),
        ("a b [1].tif", "masks/a b [1].png"),
        (
            "\N{LATIN SMALL LETTER E WITH ACUTE}.gif",
            "masks/\N{LATIN SMALL LETTER E WITH ACUTE}.png",
        ),
    ],
)
def test_an_ordinary_key_keeps_its_name_without_suffix(key, expected):
    assert places_of([key]) == [expected]


def test_images_that_differ_in_their_suffix_keep_it():
    assert check(["a.jpg", "a.png", "b.jpg"]) == [
        "masks/a.jpg.png",
        "masks/a.png.png",
        "masks/b.png",
    ]


@pytest.mark.parametrize(
    "keys",
    [
        ["a.jpg", "A.jpg"],
        ["a.jpg", "a.JPG"],
        ["Folder/a.jpg", "folder/a.jpg"],
        ["stra\N{LATIN SMALL LETTER SHARP S}e.jpg", "STRASSE.jpg"],
        ["caf\N{LATIN SMALL LETTER E WITH ACUTE}.jpg", "cafe\N{COMBINING ACUTE ACCENT}.jpg"],
        ["a.jpg", "a.jpg"],
        ["a.jpg", "a.png/b.jpg"],
        ["x" * 96 + ".jpg", "x" * 96 + ".png/b.jpg", "x" * 96 + ".pngs/c.jpg"],
        ["x" * 200 + "1.jpg", "x" * 200 + "2.jpg"],
        ["d/" * 2500 + "1.jpg", "d/" * 2500 + "2.jpg", "1.jpg"],
        ["a.", "a", "a ", "a..", "a/", "a\\", "/a", "a.jpg"],
        ["a:b.jpg", "a?b.jpg", "a_b.jpg"],
        ["a.jpg", "a.jpg", "a.jpg.jpg", "a.jpg.png"],
        ["con.jpg", "_con.jpg", "CON.png"],
    ],
)
def test_keys_that_a_file_system_could_mix_up_have_names_of_their_own(keys):
    check(keys)
    check(keys[::-1])


def test_a_key_that_imitates_another_images_name_does_not_take_it():
    hashed = check(["a?b.jpg"])[0]
    check(["a?b.jpg", hashed.removeprefix("masks/").replace(".png", ".jpg")])
    same = check(["a.jpg", "a.jpg"])
    for path in same:
        imitation = path.removeprefix("masks/").removesuffix(".png")
        check(["a.jpg", "a.jpg", imitation])
        check(["a.jpg", "a.jpg", imitation + ".jpg", imitation + ".jpg"])


def test_the_name_does_not_depend_on_the_images_that_are_not_alike():
    few, many = ["a/b.jpg", "c?.jpg"], ["a/b.jpg", "c?.jpg", "d.png", "a/c.jpg", "b.jpg"]
    assert places_of(few) == places_of(many)[:2]


def test_random_sets_of_keys_never_share_a_file():
    rng = random.Random(7)
    pieces = [
        "a",
        "A",
        "b",
        "..",
        ".",
        "/",
        "/",
        "\\",
        "~",
        "_",
        " ",
        ":",
        "\0",
        "\n",
        "con",
        "%41",
    ]
    pieces += [
        ".png",
        ".PNG",
        ".jpg",
        ".jpeg",
        "\xe9",
        "e\u0301",
        "\xdf",
        "ss",
        "x" * 99,
        "y" * 300,
    ]
    for _ in range(800):
        keys = [
            "".join(rng.choices(pieces, k=rng.randint(0, 7))) for _ in range(rng.randint(2, 25))
        ]
        # Some that imitate what the others are given.
        for path in rng.sample(places_of(keys), 2):
            keys.append(path.removeprefix("masks/").removesuffix(".png") + rng.choice(["", ".jpg"]))
        check(keys)


# Any names at all

# Surrogates and control characters included, and what means something to some file system.
PIECES = [
    *("/", "\\", "..", ".", " ", "~", ":", "\0", "\n", "\x85", "con", "COM1", "lpt\xb9", "nul."),
    *(
        ".png",
        ".PNG",
        ".jpg",
        ".jpeg",
        ".tif",
        "a",
        "A",
        "b",
        "_",
        "%",
        "\u202e",
        "x" * 99,
        "\ud800",
    ),
    *(
        "\xe9",
        "e\u0301",
        "\xdf",
        "ss",
        "\u0131",
        "I",
        "\u017f",
        "\u1fb3",
        "\u0345",
        "\u03c2",
        "\ufb03",
    ),
]
TEXT = st.text(st.characters(exclude_categories=()), max_size=30)
KEY = st.lists(st.sampled_from(PIECES) | TEXT, max_size=6).map("".join)


# As Microsoft lists them.
DEVICES = {"con", "prn", "aux", "nul", "conin$", "conout$"} | {
    f"{port}{number}" for port in ("com", "lpt") for number in "0123456789\xb9\xb2\xb3"
}


def disguised(key):
    """Keys that some file system could take for the key."""
    yield key
    yield from (key.upper(), key.lower(), key.casefold(), key.swapcase())
    for form in ("NFC", "NFD", "NFKC"):
        yield unicodedata.normalize(form, key)
    for ending in (".", " ", "/", "\\", ".png", ".jpg", "\0"):
        yield key + ending
    yield from (f"./{key}", f"../{key}", f"/{key}", f"{key}/{key}", stem(key))


@st.composite
def sets_of_keys(draw):
    """Keys, some of them in disguise, some that imitate the masks of the others."""
    keys = draw(st.lists(KEY, min_size=1, max_size=6))
    keys += draw(
        st.lists(st.sampled_from([to for key in keys for to in disguised(key)]), max_size=8)
    )
    masks = [path.removeprefix("masks/").removesuffix(".png") for path in places_of(keys)]
    return keys + draw(
        st.lists(st.sampled_from([*masks, *(f"{one}.jpg" for one in masks)]), max_size=3)
    )


def views(path):
    """A path as file systems compare it: by its bytes, in capitals, folded and normalized."""
    simple = "".join(one.upper() if len(one.upper()) == 1 else one for one in path)
    return path, simple, path.lower(), as_stored(path), as_stored(path.upper())


@settings(derandomize=True, deadline=None, max_examples=400)
@given(sets_of_keys())
@example(["a\u0345\u0301.jpg", "\u1fb4.jpg"])
@example(["i.jpg", "\u0131.jpg"])
@example(["i.jpg", "I.jpg", "\u0131.jpg", "\u0130.jpg"])
@example(["con .jpg", "COM\xb9.x.jpg", "CONIN$"])
@example(["x" * 5000, "x" * 5001, "X" * 5000 + ".jpg"])
def test_no_two_keys_share_a_mask_on_any_file_system(keys):
    paths = places_of(keys)
    for same in zip(*map(views, paths), strict=True):
        assert len(set(same)) == len(keys)
    folders = {view for path in paths for view in views(str(PurePosixPath(path).parent))}
    assert not folders & {view for path in paths for view in views(path)}


@settings(derandomize=True, deadline=None, max_examples=400)
@given(KEY | st.text(st.characters(exclude_categories=()), min_size=300, max_size=400))
@example("x/" * 2500)
@example("\N{CJK UNIFIED IDEOGRAPH-5B57}" * 5000)
def test_every_mask_stays_below_its_folder_under_a_harmless_name(key):
    for path in places_of([key, key]):
        assert path.startswith("masks/") and path.endswith(".png")
        assert len(path.encode()) <= 500
        for part in path.split("/"):
            assert part not in ("", ".", "..") and part == part.rstrip(". ")
            # What is written under a name of its own first has 37 bytes more.
            assert len(part.encode()) <= 255 - 37
            assert part.split(".")[0].rstrip().lower() not in DEVICES
            categories = {unicodedata.category(one) for one in part}
            assert not categories & {"Cc", "Cs", "Zl", "Zp"}
            assert not set(part) & set('\\:*?"<>|\u202e')


@settings(derandomize=True, deadline=None, max_examples=100)
@given(sets_of_keys())
def test_every_mask_can_be_written_on_this_file_system(keys):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        for path in places_of(keys):
            mask = root / path
            mask.parent.mkdir(parents=True, exist_ok=True)
            with open(mask, "xb"):  # Fails if another image's is there.
                assert mask.resolve().is_relative_to(root / "masks")
        assert sum(file.is_file() for file in root.rglob("*")) == len(keys)


def test_names_are_the_same_in_every_process():
    script = (
        "import json, sys; from tests.pipeline.test_names import HOSTILE, places_of;"
        "sys.stdout.write(json.dumps(places_of([*HOSTILE, *HOSTILE])))"
    )
    for seed in ("0", "1"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        found = subprocess.check_output([sys.executable, "-c", script], env=environment, cwd=ROOT)
        assert json.loads(found) == places_of([*HOSTILE, *HOSTILE])


def test_stem_takes_off_one_image_suffix_and_nothing_else():
    assert stem("a/b.jpg") == "a/b"
    assert stem("a.PNG") == "a"
    assert stem("a.jpg.png") == "a.jpg"
    assert stem("a.txt") == "a.txt"
    assert stem("jpg") == "jpg"
