"""Names of masks: whatever keys hold, below the output folder and one for each image."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest

from pipeline.storage.mask_names import Named, RecordNames, shard_stem, stem
from tests.pipeline.mask_paths import (
    HOSTILE,
    as_stored,
    folders_of,
    places_of,
    places_of_records,
)

ROOT = Path(__file__).parents[3]


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


def test_names_are_the_same_in_every_process():
    script = (
        "import json, sys; from tests.pipeline.mask_paths import HOSTILE, places_of;"
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


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("a/train.tfrecord", "a/train"),
        ("train.tfrecord-00003-of-00010.gz", "train-00003-of-00010"),
        ("train-00003-of-00010", "train-00003-of-00010"),
        ("x.tfrec", "x"),
        ("x.RECORD.gz", "x"),
        ("v1.2", "v1.2"),
    ],
)
def test_a_shard_is_called_by_its_name_without_suffix(key, expected):
    assert shard_stem(key) == expected


def test_records_lie_in_a_folder_of_their_shard_under_their_own_names():
    keys = ["a/b.jpg", "a/b.png", "a/b.jpg", "", "a/b.jpg"]
    assert places_of_records(keys) == [
        "masks/s/a/b.png",
        "masks/s/a/b.png.png",
        "masks/s/a/b.jpg.png",
        "masks/s/000003.png",
        "masks/s/a/b.jpg~4.png",
    ]
    names = RecordNames(Named("s", "masks/s"))
    shown = [names.name(key, number).key for number, key in enumerate(keys)]
    assert shown == ["s/a/b.jpg", "s/a/b.png", "s/a/b.jpg#2", "s/000003", "s/a/b.jpg#4"]
    # A name may look like that of another.
    names = RecordNames(Named("s", "masks/s"))
    shown = [names.name(key, number).key for number, key in enumerate(["a", "a", "a#1", "a"])]
    assert len(set(shown)) == 4


def test_a_shard_shares_its_folder_with_nothing():
    (alone,) = folders_of(["in/s.tfrecord"], ["in/s.jpg"])
    assert alone == Named("in/s", "masks/in/s")
    shards = ["s.tfrecord", "s.tfrecord.gz", "t.tfrecord"]
    found = folders_of(shards, ["t/a.jpg"])
    assert len({one.mask for one in found}) == 3
    assert all(one.mask.startswith("masks/~") for one in found)
    assert [one.key for one in found] == ["/place/0", "/place/1", "/place/2"]
