"""The names by which images and truths are joined."""

import unicodedata

import pytest

from pipeline.records import ListedFile
from pipeline.storage.pair_names import (
    fault_of,
    joined_wildcards,
    name_of_image,
    name_of_truth,
    pair_name,
    truth_glob,
    unknown_names,
)
from pipeline.storage.patterns import find_files
from tests.pipeline.shard_files import lay


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A folder to be in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pairs(images, truth):
    """Each image of some patterns, and the truths of its name."""
    truths = {}
    for file in find_files(truth_glob(truth), "images"):
        truths.setdefault(name_of_truth(file, truth), []).append(file.path)
    files = [file for pattern in images for file in find_files(pattern, "images")]
    return {file.path: truths.get(name_of_image(file, images, truth)) for file in files}


def test_names_pair_across_unicode_forms_and_suffixes():
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    assert pair_name(f"c/{composed}.jpg") == pair_name(f"c/{decomposed}.PNG")
    assert pair_name("c/x.jpg.png") == pair_name("c/x.jpg") == "c/x"
    assert pair_name("x_mask.png") != pair_name("x.png")
    assert pair_name("v1.2.png") == "v1.2"


def test_the_name_is_the_path_below_the_folder_without_suffix(here):
    lay(here, "in/x.jpg", "in/c/y.jpg", "masks/x_mask.png", "masks/c/y_mask.png", "masks/y.png")
    expected = {"in/x.jpg": ["masks/x_mask.png"], "in/c/y.jpg": ["masks/c/y_mask.png"]}
    assert pairs(["in"], "masks/{name}_mask.png") == expected
    expected = {f"{here}/in/x.jpg": ["masks/x_mask.png"]}
    assert pairs([f"{here}/in/*.jpg"], "masks/{name}_mask.png") == expected


def test_the_name_may_be_a_folder_or_alone(here):
    lay(here, "in/x.jpg", "masks/x/mask.png", "masks/mask.png", "flat/x.png", "x_gt.png")
    for truth, path in (
        ("masks/{name}/mask.png", "masks/x/mask.png"),
        ("flat/{name}", "flat/x.png"),
        ("{name}_gt.png", "./x_gt.png"),
        ("flat/{name}.png", "flat/x.png"),
        (f"{here}/flat/{{name}}.png", f"{here}/flat/x.png"),
    ):
        assert pairs(["in"], truth) == {"in/x.jpg": [path]}


def test_the_suffix_may_be_left_open(here):
    lay(here, "in/x.jpg", "in/y.jpg", "in/v.1.jpg", "m/x_m.png", "m/y_m.gif", "m/v.1_m.png", "m/_m")
    assert pairs(["in"], "m/{name}_m.*") == {
        "in/x.jpg": ["m/x_m.png"],
        "in/y.jpg": ["m/y_m.gif"],
        "in/v.1.jpg": ["m/v.1_m.png"],
    }


def test_folders_before_the_name_are_those_that_the_wildcards_of_the_image_matched(here):
    lay(here, *(f"data/{c}/images/x.jpg" for c in "abc"), "data/a/masks/x.png")
    lay(here, "data/b/masks/c/x.png", "data/c/masks/x.png")
    assert pairs(["data/*/images/*"], "data/*/masks/{name}.png") == {
        "data/a/images/x.jpg": ["data/a/masks/x.png"],
        "data/b/images/x.jpg": None,
        "data/c/images/x.jpg": ["data/c/masks/x.png"],
    }


@pytest.mark.parametrize(
    ("image", "truth", "path", "mask"),
    [
        ("d/*/x.jpg", "d/*/{name}_m.png", "d/a/x.jpg", "d/a/x_m.png"),
        ("d/*.jpg", "m/*/{name}.png", "d/x.jpg", "m/x/x.png"),
        ("d/*/*/i/*.jpg", "m/*-*/{name}.png", "d/a/b/i/x.jpg", "m/a-b/x.png"),
        ("d/**/i/*.jpg", "d/**/m/{name}.png", "d/a/b/i/x.jpg", "d/a/b/m/x.png"),
        ("d/**/i/*.jpg", "d/**/m/{name}.png", "d/i/x.jpg", "d/m/x.png"),
        ("d/*/i/**", "d/*/m/{name}.png", "d/a/i/b/x.jpg", "d/a/m/b/x.png"),
        ("d/set?/[xy]*", "m/?/{name}.png", "d/set1/x.jpg", "m/1/x.png"),
        ("d/[!z]/*", "m/*/{name}.png", "d/a/x.jpg", "m/x/x.png"),
        ("e/d[1]/*/*", "e/m[1]/*/{name}.png", "e/d[1]/a/x.jpg", "e/m[1]/a/x.png"),
        ("d/*/*", "m/*/{name}.png", "d/cafe\u0301/x.jpg", "m/caf\u00e9/x.png"),
    ],
)
def test_wildcards_are_joined_from_the_left(here, image, truth, path, mask):
    lay(here, path, mask, "m/other/x.png", "m/2/x.png")
    assert pairs([image], truth) == {path: [mask]}


def test_the_first_pattern_that_matches_an_image_counts(here):
    lay(here, "one/a/x.jpg", "two/i/b/x.jpg", "m/a/x.png", "m/b/x.png")
    assert pairs(["one/*/*", "two/i/*/*"], "m/*/{name}.png") == {
        "one/a/x.jpg": ["m/a/x.png"],
        "two/i/b/x.jpg": ["m/b/x.png"],
    }


def test_a_truth_with_nothing_left_for_its_name_is_joined_with_none():
    truth = name_of_truth(ListedFile("m/mask.png", "m/"), "m/{name}/mask.png")
    assert truth != name_of_image(ListedFile("in/mask.png", "in/"), ("in",), "m/{name}/mask.png")
    assert name_of_image(ListedFile("in/x.jpg", "in/"), ("in",), "m/*/{name}.png") != "x"


def test_faults_of_patterns_are_named():
    assert fault_of("masks/*") == fault_of("m/*/{name}_mask.png") == fault_of("{name}.*") == ""
    assert fault_of("{name}/{name}.png") == "{name} is there 2 times; give it once"
    for pattern in ("{name}*.png", "{name}/*.png", "{name}?.*"):
        assert fault_of(pattern).startswith("after {name} nothing but the suffix")
    assert unknown_names("m/{nmae}/{name}_{}.png") == ["{nmae}", "{}"]
    assert joined_wildcards("a/*/**/b?[xy]{name}*") == 3


def test_names_are_compared_in_one_unicode_form():
    decomposed = unicodedata.normalize("NFD", "\u00e9")
    assert name_of_truth(ListedFile(f"m/{decomposed}_m.png", "m/"), "m/{name}_m.png") == "\u00e9"
