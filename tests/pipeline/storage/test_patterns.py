"""Finding files: files, folders and globs, against what was laid there."""

import os

import pytest

from pipeline.storage.patterns import (
    find_files,
    is_shard,
    list_pattern,
    names_a_shard,
    real_path,
    suffix_of,
)
from tests.pipeline.shard_files import lay


def keys(pattern, input_format="auto"):
    found = list(find_files(str(pattern), input_format))
    for file in found:
        assert os.path.isfile(file.path) and file.path.startswith(file.folder)
        assert file.size == os.path.getsize(file.path)
        assert file.stamp == f"{file.size}-{os.path.getmtime(file.path)}"
    return [file.key for file in found]


def test_a_file_is_found_and_its_key_is_its_name(tmp_path):
    lay(tmp_path, "in/a.jpg", "in/b.jpg")
    assert keys(tmp_path / "in" / "a.jpg") == ["a.jpg"]


def test_a_file_named_outright_needs_no_suffix_of_an_image(tmp_path):
    lay(tmp_path, "in/photo")
    assert keys(tmp_path / "in" / "photo") == ["photo"]


@pytest.mark.parametrize("end", ["", "/", "//"])
def test_a_folder_yields_all_images_and_shards_below_it_and_nothing_else(tmp_path, end):
    names = ["a.jpg", "b.PNG", "c/d.webp", "c/e/f.tiff", "s.tfrecord", "t.tfrecord-00000-of-00002"]
    lay(tmp_path, *(f"in/{name}" for name in names))
    lay(tmp_path, "in/notes.txt", "in/.DS_Store", "in/c/jpg", "in2/x.jpg")
    assert keys(f"{tmp_path}/in{end}") == sorted(names)


def test_a_format_narrows_a_folder_but_not_a_glob(tmp_path):
    lay(tmp_path, "a.jpg", "s.tfrecord", "x.bin")
    assert keys(tmp_path, "images") == ["a.jpg"]
    assert keys(tmp_path, "tfrecord") == ["s.tfrecord"]
    assert keys(f"{tmp_path}/*", "tfrecord") == ["a.jpg", "s.tfrecord", "x.bin"]


def test_one_star_stays_in_its_folder_and_two_go_below(tmp_path):
    lay(tmp_path, "a.jpg", "c/b.jpg", "c/d/e.jpg", "c/d/e.png")
    assert keys(f"{tmp_path}/*.jpg") == ["a.jpg"]
    assert keys(f"{tmp_path}/**.jpg") == ["a.jpg", "c/b.jpg", "c/d/e.jpg"]
    assert keys(f"{tmp_path}/*/*.jpg") == ["c/b.jpg"]
    assert keys(f"{tmp_path}/c/?.jpg") == ["b.jpg"]


def test_the_key_is_the_path_below_the_fixed_folder(tmp_path):
    lay(tmp_path, "day1/a.jpg", "day2/a.jpg")
    assert keys(f"{tmp_path}/day*/a.jpg") == ["day1/a.jpg", "day2/a.jpg"]
    assert keys(f"{tmp_path}/day1/a*") == ["a.jpg"]


@pytest.mark.parametrize("folder", ["a [1]", "b [x", "c ]", "sp ace", "[]", "[!a]"])
def test_brackets_and_spaces_in_names_are_meant_as_they_are(tmp_path, folder):
    lay(tmp_path, f"{folder}/x [2].jpg", f"{folder}/y.jpg", "a 1/x 2.jpg", "b/x 2.jpg")
    assert keys(tmp_path / folder) == ["x [2].jpg", "y.jpg"]
    assert keys(f"{tmp_path}/{folder}/") == ["x [2].jpg", "y.jpg"]
    assert keys(tmp_path / folder / "x [2].jpg") == ["x [2].jpg"]
    assert keys(f"{tmp_path}/{folder}/*.jpg") == ["x [2].jpg", "y.jpg"]


def test_a_file_with_brackets_is_not_taken_for_its_neighbour(tmp_path):
    lay(tmp_path, "x[2].jpg", "x2.jpg")
    assert keys(tmp_path / "x[2].jpg") == ["x[2].jpg"]


def test_brackets_that_name_nothing_are_a_choice_of_characters(tmp_path):
    lay(tmp_path, "day1/a.jpg", "day2/a.jpg", "day3/a.jpg")
    assert keys(f"{tmp_path}/day[12]/a.jpg") == ["day1/a.jpg", "day2/a.jpg"]
    assert keys(f"{tmp_path}/day[12]/*.jpg") == ["day1/a.jpg", "day2/a.jpg"]
    assert keys(f"{tmp_path}/day3/[a-c].jpg") == ["a.jpg"]


def test_relative_patterns_work_from_the_current_folder(tmp_path, monkeypatch):
    lay(tmp_path, "a.jpg", "c/b.jpg", "[d]/e.jpg")
    monkeypatch.chdir(tmp_path)
    assert keys("a.jpg") == ["a.jpg"]
    assert keys("c") == keys("./c") == keys("c/*.jpg") == ["b.jpg"]
    assert keys("*.jpg") == ["a.jpg"]
    assert keys("*/b.jpg") == ["c/b.jpg"]
    assert keys("[d]") == ["e.jpg"]
    assert keys(".") == ["[d]/e.jpg", "a.jpg", "c/b.jpg"]


def test_the_real_path_of_a_file_is_the_same_however_its_folder_is_spelt(tmp_path, monkeypatch):
    lay(tmp_path, "in/a.jpg", "other/in/a.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "in")
    (tmp_path / "deep").symlink_to(tmp_path / "other" / "in")
    monkeypatch.chdir(tmp_path)
    same = ("in/a.jpg", "./in/a.jpg", f"{tmp_path}/in/a.jpg", "in/../in/a.jpg", "link/a.jpg")
    assert {real_path(path) for path in same} == {os.path.realpath("in/a.jpg")}
    # The folder above a linked one is not that of the link.
    assert real_path("deep/../in/a.jpg") == os.path.realpath("other/in/a.jpg")
    # Links to files are files of their own.
    (tmp_path / "in" / "b.jpg").symlink_to(tmp_path / "in" / "a.jpg")
    assert real_path("in/b.jpg") == f"{os.path.realpath('in')}/b.jpg"
    assert real_path("gs://bucket/../a.jpg") == "gs://bucket/../a.jpg"


def test_what_is_not_there_is_not_found(tmp_path):
    (tmp_path / "empty").mkdir()
    lay(tmp_path, "text/notes.txt")
    for pattern in ("empty", "empty/", "none.jpg", "*.jpg", "text"):
        assert keys(f"{tmp_path}/{pattern}") == []


def test_shards_are_told_by_their_names_or_by_the_format():
    for name in ("a.tfrecord", "a.tfrecords", "A.TFRECORD.GZ", "a.tfrecord-00001-of-00002"):
        assert is_shard(name) and not is_shard(name, "images")
    for name in ("a.jpg", "tfrecord", "a.tfrecord.jpg", "a.tfrecord-1"):
        assert not is_shard(name) and is_shard(name, "tfrecord")


def test_a_relative_path_is_meant_from_the_current_folder_each_time(tmp_path, monkeypatch):
    for folder in ("one", "two"):
        (tmp_path / folder / "in").mkdir(parents=True)
        monkeypatch.chdir(tmp_path / folder)
        assert real_path("in/a.jpg") == f"{os.path.realpath(tmp_path)}/{folder}/in/a.jpg"


def test_two_stars_and_a_slash_stand_for_any_number_of_folders_none_included(tmp_path):
    lay(tmp_path, "a.jpg", "c/b.jpg", "c/d/e.jpg", "c/d/e.png")
    assert keys(f"{tmp_path}/**/*.jpg") == ["a.jpg", "c/b.jpg", "c/d/e.jpg"]
    assert keys(f"{tmp_path}/c/**/e.*") == ["d/e.jpg", "d/e.png"]


def test_what_a_folder_holds_beside_images_is_passed_over_and_listed(tmp_path):
    lay(tmp_path, "a.jpg", "._a.jpg", "notes.TXT", "c/Makefile", "s.record", "t-00000-of-00001")
    listing = list_pattern(str(tmp_path))
    assert [file.path for file in listing.files] == [f"{tmp_path}/a.jpg"]
    assert {suffix_of(path) for path in listing.passed_over} == {
        "._*",
        "*.txt",
        "*",
        "*.record",
    }
    assert list_pattern(f"{tmp_path}/*.TXT").passed_over == []


def test_names_that_others_give_shards_are_shards_where_the_user_says_so(tmp_path):
    names = ["a.record", "b.tfrec", "c.records.gz", "train-00000-of-00001"]
    lay(tmp_path, *names, "x.jpg")
    assert keys(tmp_path, "tfrecord") == names
    assert keys(tmp_path) == ["x.jpg"]
    assert all(names_a_shard(name) for name in names) and not names_a_shard("x.jpg")


def test_a_link_to_nothing_is_listed(tmp_path):
    lay(tmp_path, "in/a.jpg")
    (tmp_path / "in" / "b.jpg").symlink_to(tmp_path / "gone.jpg")
    (tmp_path / "in" / "notes.txt").symlink_to(tmp_path / "gone.txt")
    listing = list_pattern(f"{tmp_path}/in")
    assert [file.path for file in listing.files] == [f"{tmp_path}/in/{x}.jpg" for x in "ab"]
    assert listing.passed_over == [f"{tmp_path}/in/notes.txt"]


@pytest.mark.parametrize("pattern", ["", "/**.png", "/*/*/*.png"])
def test_what_an_earlier_job_wrote_is_no_input_of_a_folder_around_it(tmp_path, pattern):
    lay(tmp_path, "b/c/a.png", "out/masks/a.png", "out/journal/job.json", "masks/z/a.png")
    listing = list_pattern(f"{tmp_path}{pattern}")
    assert f"{tmp_path}/out/masks/a.png" in listing.outputs
    assert [file.path for file in listing.files] == [
        f"{tmp_path}/b/c/a.png",
        f"{tmp_path}/masks/z/a.png",
    ]
    # Named outright, it is meant.
    assert keys(tmp_path / "out" / "masks") == ["a.png"]


def test_the_output_of_a_job_inside_a_folder_called_masks_is_found(tmp_path):
    lay(tmp_path, "masks/run/masks/a.png", "masks/run/journal/job.json", "masks/b.png")
    assert keys(tmp_path) == ["masks/b.png"]
