"""Files and their ground truth, joined by the path below the pattern's folder."""

from dataclasses import replace

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to

from pipeline.failures import Failure
from pipeline.records import Chunk, ListedFile, Note, Source
from pipeline.stages.pair import (
    PairMasks,
    PairPhotos,
    mask_sources,
    pair_notes,
    photo_sources,
)


def below(folder, *names):
    return [ListedFile(f"{folder}{name}", folder, 3, f"{name}-1") for name in names]


def photos_of(files):
    """Their sources, before they are paired."""
    return [
        Source(one.path, one.key, f"masks/{one.key}", None, one.size, one.stamp, one.folder)
        for one in files
    ]


def sources(files, truths):
    return list(photo_sources(photos_of(files), truths))


def test_a_photo_has_its_truth_or_none():
    photo = below("/in/", "a.jpg")
    (with_truth,) = sources(photo, below("/t/", "a.png"))
    (without,) = sources(photo, [])
    assert without == photos_of(photo)[0]
    # A change of either changes the stamp.
    assert with_truth == replace(without, truth="/t/a.png", stamp="a.jpg-1 a.png-1")
    assert sources([], below("/t/", "a.png")) == []


def test_of_what_nobody_has_listed_nobody_knows_whether_it_changed():
    (unlisted,) = (replace(one, stamp="") for one in below("/t/", "a.png"))
    assert sources(below("/in/", "a.jpg"), [unlisted])[0].stamp == ""


def test_the_truth_that_a_manifest_gives_counts_first():
    (photo,) = photos_of(below("/in/", "a.jpg"))
    given = replace(photo, truth="/mine.png")
    assert list(photo_sources([given], below("/t/", "a.png"))) == [given]


def test_of_many_truths_the_first_name_counts():
    truths = below("/t/", "a.png", "a.gif", "a.jpg")
    assert sources(below("/in/", "a.jpg"), truths)[0].truth == "/t/a.gif"


def test_truths_that_are_not_used_are_said():
    photo, truths = below("/t/", "a.jpg"), below("/t/", "a.png", "a.gif", "a.jpg")
    # A photo in the folder of the truths is none.
    assert list(pair_notes(photos_of(photo), truths)) == [
        Note("ground truths are not used, as another has their name", "/t/a.png")
    ]
    assert list(pair_notes(photos_of(photo), truths[:1])) == []
    given = [replace(one, truth="/mine.png") for one in photos_of(photo)]
    assert list(pair_notes(given, truths[:1])) == [
        Note("ground truths are not used, as the manifest names another", "/t/a.png")
    ]
    assert list(pair_notes([replace(given[0], truth="/t/a.png")], truths[:1])) == []


def test_a_truth_that_could_be_of_several_photos_is_of_none():
    for photos in (
        below("/one/", "a.jpg") + below("/two/", "a.png"),
        below("/one/", "a.jpg") + below("/two/", "a.jpg"),
    ):
        found = sources(photos, below("/t/", "a.png"))
        for one, photo in zip(found, photos_of(photos), strict=True):
            assert one == replace(photo, stamp="", truth_fault=one.truth_fault)
            assert one.truth_fault.endswith("such as a.jpg.png and a.png.png: /t/a.png")
        assert list(pair_notes(photos_of(photos), below("/t/", "a.png"))) == []


def test_photos_that_differ_in_the_suffix_have_the_truths_that_name_it():
    photos = below("/in/", "a.jpg", "a.png", "a.webp")

    def truths_of(truths, pattern="/t"):
        found = photo_sources(photos_of(photos), truths, pattern)
        return [one.truth_fault[-8:] or one.truth for one in found]

    full = below("/t/", "a.jpg.png", "a.png.png")
    assert truths_of(full) == ["/t/a.jpg.png", "/t/a.png.png", None]
    # A name without suffix is left for the one that no other truth names.
    assert truths_of([*full, *below("/t/", "a.gif")]) == [*truths_of(full)[:2], "/t/a.gif"]
    assert truths_of(below("/t/", "a.png.png", "a.png")) == ["/t/a.png", full[1].path, "/t/a.png"]
    records = [
        replace(one, name=f"a.{end}") for one, end in zip(full, ("png", "webp"), strict=True)
    ]
    assert truths_of(records) == [None, "/t/a.jpg.png", "/t/a.png.png"]
    masked = below("/t/", "a.jpg_m.png", "a.webp_m.png")
    assert truths_of(masked, "/t/{name}_m.png") == ["/t/a.jpg_m.png", None, "/t/a.webp_m.png"]
    notes = pair_notes(photos_of(photos), below("/t/", "a.png.png", "a.png.gif"), "/t")
    assert [one.kind.partition(",")[0] for one in notes] == [
        "images have no ground truth",
        "images have no ground truth",
        "ground truths are not used",
    ]


def test_masks_that_differ_in_the_suffix_need_truths_that_name_it():
    masks, truths = below("/m/", "a.jpg", "a.png"), below("/t/", "a.png")
    assert [one.failure.reason for one in mask_sources(masks, truths)] == ["ambiguous_truth"] * 2
    full = below("/m/", "a.jpg.png", "a.png.png")
    found = mask_sources(full, below("/t/", "a.png.png", "a.jpg.gif"))
    assert [one.result.truth for one in found] == ["/t/a.jpg.gif", "/t/a.png.png"]


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

    def only(masks, truths):
        (found,) = mask_sources(masks, truths)
        return found

    assert only(masks, truths).result == Source(
        "/m/c/a.png", "c/a.png", "/m/c/a.png", "/t/c/a.jpg", 3, "c/a.png-1 c/a.jpg-1"
    )
    assert only(masks, []).failure == Failure(
        "c/a.png", "read", "missing_truth", "no truth for the mask c/a.png"
    )
    assert only([], truths).failure == Failure(
        "c/a.jpg", "read", "missing_mask", "no mask for the truth c/a.jpg"
    )


def shown(sources):
    return sources | beam.Map(lambda one: (one.key, one.path, one.truth))


def missing(failures):
    return failures | beam.Map(lambda one: (one.key, one.reason))


def test_files_are_joined_by_their_path_without_suffix():
    files = below("/in/", "a.jpg", "c/a.jpg", "alone.jpg")
    shard = Source("/in/s.tfrecord", "s", "masks/s", chunk=Chunk())
    truths = below("/t/", "c/a.png", "a.gif", "lonely.png")
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        left = pipeline | "Photos" >> beam.Create([*photos_of(files), shard])
        masks = pipeline | "Masks" >> beam.Create(files)
        right = pipeline | "Truths" >> beam.Create(truths)
        found = (left, right) | PairPhotos(("/in",), "/t")
        paired = [
            ("a.jpg", "/in/a.jpg", "/t/a.gif"),
            ("c/a.jpg", "/in/c/a.jpg", "/t/c/a.png"),
        ]
        # Records of shards carry their truths.
        others = [("alone.jpg", "/in/alone.jpg", None), ("s", "/in/s.tfrecord", None)]
        assert_that(shown(found.results), equal_to(paired + others), label="photos")
        notes = [
            Note("images have no ground truth", "/in/alone.jpg"),
            Note("ground truths have no image", "/t/lonely.png"),
        ]
        assert_that(found.notes, equal_to(notes), label="notes")
        pairs = (masks, right) | PairMasks("/in", "/t")
        named = pairs.results | "Shown" >> beam.Map(lambda one: (one.key, one.path, one.truth))
        assert_that(named, equal_to(paired), label="masks")
        failures = [("alone.jpg", "missing_truth"), ("lonely.png", "missing_mask")]
        assert_that(missing(pairs.failures), equal_to(failures), label="failures")


def test_a_pattern_with_a_name_joins_by_what_its_wildcards_stand_for():
    files, truths = below("/in/", "a/i/x.jpg", "b/i/x.jpg"), below("/in/", "b/m/x_m.png")
    truths += below("/in/", "c/m/x_m.png")
    pattern, truth = "/in/*/i/*", "/in/*/m/{name}_m.png"
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        left = pipeline | "Photos" >> beam.Create(photos_of(files))
        right = pipeline | "Truths" >> beam.Create(truths)
        found = (left, right) | PairPhotos((pattern,), truth)
        expected = [
            ("a/i/x.jpg", "/in/a/i/x.jpg", None),
            ("b/i/x.jpg", "/in/b/i/x.jpg", "/in/b/m/x_m.png"),
        ]
        assert_that(shown(found.results), equal_to(expected), label="photos")
        notes = [
            Note("images have no ground truth", "/in/a/i/x.jpg"),
            Note("ground truths have no image", "/in/c/m/x_m.png"),
        ]
        assert_that(found.notes, equal_to(notes), label="notes")
        pairs = (pipeline | "Masks" >> beam.Create(files), right) | PairMasks(pattern, truth)
        named = pairs.results | "Shown" >> beam.Map(lambda one: (one.key, one.path, one.truth))
        assert_that(named, equal_to(expected[1:]), label="masks")
        failures = [("a/i/x.jpg", "missing_truth"), ("c/m/x_m.png", "missing_mask")]
        assert_that(missing(pairs.failures), equal_to(failures), label="failures")
