"""Files and their ground truth, joined by the path below the pattern's folder."""

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to

from pipeline.records import Note, Source
from pipeline.stages.pair import PairMasks, PairPhotos, mask_pairs, photo_sources


def below(folder, *names):
    return [(f"{folder}{name}", folder) for name in names]


def sources(files, truths):
    return list(photo_sources(("a", {"files": files, "truths": truths})))


def test_a_photo_has_its_truth_or_none():
    photo = below("/in/", "a.jpg")
    assert sources(photo, below("/t/", "a.png")) == [Source("/in/a.jpg", "/in/", "/t/a.png")]
    assert sources(photo, []) == [Source("/in/a.jpg", "/in/", None)]
    assert sources([], below("/t/", "a.png")) == []


def test_of_many_truths_the_first_name_counts():
    truths = below("/t/", "a.png", "a.gif", "a.jpg")
    assert sources(below("/in/", "a.jpg"), truths)[0].truth == "/t/a.gif"


def test_photos_of_one_name_share_a_truth():
    photos = below("/one/", "a.jpg") + below("/two/", "a.png")
    found = sources(photos, below("/t/", "a.png"))
    assert [(one.path, one.truth) for one in found] == [
        ("/one/a.jpg", "/t/a.png"),
        ("/two/a.png", "/t/a.png"),
    ]


@pytest.mark.parametrize("folder", ["", "./", "../set/"])
def test_a_photo_is_never_its_own_truth_however_it_is_spelt(tmp_path, monkeypatch, folder):
    here = tmp_path / "set"
    here.mkdir()
    monkeypatch.chdir(here)
    photos = below(f"{here}/", "a.jpg")
    assert sources(photos, below(folder, "a.jpg"))[0].truth is None
    assert sources(photos, below(folder, "a.jpg", "a.png"))[0].truth == f"{folder}a.png"


def test_a_mask_or_a_truth_may_lack_its_partner():
    masks, truths = below("/m/", "c/a.png"), below("/t/", "c/a.jpg")

    def pairs(masks, truths):
        return list(mask_pairs(("c/a", {"files": masks, "truths": truths})))

    assert pairs(masks, truths) == [("c/a.png", "/m/c/a.png", "/t/c/a.jpg")]
    assert pairs(masks, []) == [("c/a.png", "/m/c/a.png", None)]
    assert pairs([], truths) == [("c/a.jpg", None, "/t/c/a.jpg")]


def test_files_are_joined_by_their_path_without_suffix():
    files = below("/in/", "a.jpg", "c/a.jpg", "alone.jpg")
    truths = below("/t/", "c/a.png", "a.gif", "lonely.png")
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        left = pipeline | "Files" >> beam.Create(files)
        right = pipeline | "Truths" >> beam.Create(truths)
        found = (left, right) | PairPhotos()
        expected = [
            Source("/in/a.jpg", "/in/", "/t/a.gif"),
            Source("/in/c/a.jpg", "/in/", "/t/c/a.png"),
            Source("/in/alone.jpg", "/in/", None),
        ]
        assert_that(found.results, equal_to(expected), label="photos")
        notes = [
            Note("images have no ground truth", "/in/alone.jpg"),
            Note("ground truths have no image", "/t/lonely.png"),
        ]
        assert_that(found.notes, equal_to(notes), label="notes")
        pairs = (left, right) | PairMasks()
        expected = [
            ("a.jpg", "/in/a.jpg", "/t/a.gif"),
            ("c/a.jpg", "/in/c/a.jpg", "/t/c/a.png"),
            ("alone.jpg", "/in/alone.jpg", None),
            ("lonely.png", None, "/t/lonely.png"),
        ]
        assert_that(pairs, equal_to(expected), label="masks")


def test_a_pattern_with_a_name_joins_by_what_its_wildcards_stand_for():
    files = [("/in/a/i/x.jpg", "/in/"), ("/in/b/i/x.jpg", "/in/")]
    truths = [("/in/b/m/x_m.png", "/in/"), ("/in/c/m/x_m.png", "/in/")]
    pattern, truth = "/in/*/i/*", "/in/*/m/{name}_m.png"
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        left = pipeline | "Files" >> beam.Create(files)
        right = pipeline | "Truths" >> beam.Create(truths)
        found = (left, right) | PairPhotos((pattern,), truth)
        expected = [
            Source("/in/a/i/x.jpg", "/in/", None),
            Source("/in/b/i/x.jpg", "/in/", "/in/b/m/x_m.png"),
        ]
        assert_that(found.results, equal_to(expected), label="photos")
        notes = [
            Note("images have no ground truth", "/in/a/i/x.jpg"),
            Note("ground truths have no image", "/in/c/m/x_m.png"),
        ]
        assert_that(found.notes, equal_to(notes), label="notes")
        expected = [
            ("a/i/x.jpg", "/in/a/i/x.jpg", None),
            ("b/i/x.jpg", "/in/b/i/x.jpg", "/in/b/m/x_m.png"),
            ("c/m/x_m.png", None, "/in/c/m/x_m.png"),
        ]
        assert_that((left, right) | PairMasks(pattern, truth), equal_to(expected), label="masks")
