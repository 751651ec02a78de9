"""Names of masks for any keys at all, as Hypothesis makes them up."""

import tempfile
import unicodedata
from pathlib import Path, PurePosixPath

from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.storage.mask_names import stem
from tests.pipeline.mask_paths import as_stored, folders_of, places_of, places_of_records

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


@settings(derandomize=True, deadline=None, max_examples=300)
@given(sets_of_keys())
@example(["a.jpg", "a.png", "a.jpg~1", "a.png"])
@example(["", "", "000000", "000001.jpg"])
def test_no_two_records_of_a_shard_share_a_mask(keys):
    paths = places_of_records(keys)
    assert all(path.startswith("masks/s/") and path.endswith(".png") for path in paths)
    for same in zip(*map(views, paths), strict=True):
        assert len(set(same)) == len(keys)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(sets_of_keys(), sets_of_keys())
@example(["s", "S.tfrecord", "s/t"], ["s/a.jpg", "t/a.jpg"])
@example(["a", "a/b"], ["b/x.jpg", "x.jpg"])
@example(["a.png"], ["a.jpg"])
def test_no_mask_of_a_shard_is_that_of_an_image_or_of_another_shard(shards, images):
    shards = [f"{key}.tfrecord" for key in shards]
    paths = places_of(images)
    for shard in folders_of(shards, images):
        paths += places_of_records(images, shard)
    for same in zip(*map(views, paths), strict=True):
        assert len(set(same)) == len(paths)
    folders = {view for path in paths for view in views(str(PurePosixPath(path).parent))}
    assert not folders & {view for path in paths for view in views(path)}
    assert all(path.startswith("masks/") and len(path.encode()) <= 1000 for path in paths)
